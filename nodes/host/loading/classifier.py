"""An image classifier from a file or a folder in `models/classifiers`.

The file format
---------------
One safetensors file. Its tensors are the state_dict of the architecture, in float32, float16 or bfloat16; it runs in float32.
Its metadata has the entry "classifier", a JSON object as text:

    {
      "library": "torchvision",               or "timm"
      "architecture": "shufflenet_v2_x0_5",   torchvision.models.get_model(architecture, weights=None, num_classes=len(classes))
                                              timm.create_model(architecture, pretrained=False, num_classes=len(classes))
      "classes": ["cat", "dog"],              the names of the logits, in their order
      "resize": [64, 64],                     height and width that every picture is resized to, whatever its shape; or one
                                              number: the shorter side is resized to it, and the shape is kept
      "input_size": [64, 64],                 height and width that are then cut out of the middle
      "interpolation": "bilinear",            or "bicubic"; antialiased, as torchvision.transforms.v2.Resize does it
      "mean": [0.485, 0.456, 0.406],          of red, green and blue in 0..1: the network gets (value - mean) / std
      "std": [0.229, 0.224, 0.225]
    }

All entries are needed, and others are ignored. A grey picture is given as three equal channels.
"""

from __future__ import annotations
