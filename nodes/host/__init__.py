"""Adapters to ComfyUI: everything besides the node classes that imports `comfy`, so that the maths never has to."""
