"""The node classes, one file each; the maths is in `maths` under the same names, all that touches ComfyUI in `host`."""
