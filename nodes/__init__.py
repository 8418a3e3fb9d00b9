"""The node classes, one file each; a node's maths is in `maths` under the same name, and all that touches ComfyUI in `host`."""
