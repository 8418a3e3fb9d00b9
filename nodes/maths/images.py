"""Pictures as tensors [B,H,W,3] in 0..1: decoded, resized, matched to their maps, to and from Pillow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image
from torch import Tensor

Decode = Callable[[Tensor], Tensor]
Size: TypeAlias = tuple[int, ...]
"""Height and width, as `Tensor.shape[-2:]` is to a type checker."""
SHAPE_TOLERANCE = 0.04
"""How far width / height may differ from the encoded picture's:
resizing a picture of a megapixel to multiples of 64 does no more."""
LUMINANCE = (0.2126, 0.7152, 0.0722)  # red, green, blue: Rec. 709, the primaries of sRGB


def decode_pictures(decode: Decode, latents: Tensor) -> Tensor:
    """The decoder's pictures of VAE-space latents [n,C,h,w] (or [n,C,1,h,w], frames), [n,H,W,3] float32 on the CPU.

    Raises:
        ValueError: the decoder gives anything else.
    """
    pictures = decode(latents)
    if latents.ndim == pictures.ndim == 5:  # single frames, [n,1,H,W,3]
        pictures = pictures.flatten(0, 1)
    if pictures.ndim != 4 or len(pictures) != len(latents) or pictures.shape[-1] < 3:
        raise ValueError(
            f"The VAE decoded {len(latents)} latents to the shape {list(pictures.shape)}; expected [{len(latents)}, height, "
            "width, 3]. Connect the image VAE that encoded the picture."
        )
    return pictures[..., :3].to("cpu", torch.float32)


def luminance(pictures: Tensor) -> Tensor:
    """Rec. 709 luma of pictures, [...,3] to [...]."""
    return pictures[..., :3] @ pictures.new_tensor(LUMINANCE)


def match_pictures(pictures: Tensor, maps: int, latent_size: Size, downscale: int) -> Tensor:
    """The RGB of pictures [1 or maps,H,W,3 or 4], one for each map, [maps,H,W,3] float32 on the CPU.

    Raises:
        ValueError: no pictures, another number of them, a single pixel or fewer pixels than cells, another shape than the encoded
            picture's, NaN.
    """
    if pictures.ndim != 4 or pictures.shape[-1] not in (3, 4) or 0 in pictures.shape:
        raise ValueError(
            f"The image has shape {list(pictures.shape)}; expected [images, height, width, 3 or 4]. Connect an IMAGE."
        )
    if len(pictures) not in (1, maps):
        raise ValueError(
            f"There are {len(pictures)} images, but the difference is of {maps}. Connect the {maps} that were encoded, or one "
            "for all."
        )
    height, width = pictures.shape[1:3]
    rows, columns = latent_size
    if height * width == 1 or height < rows or width < columns:
        raise ValueError(
            f"The image has {width}×{height} pixels, but the latent has {columns}×{rows} cells; expected more pixels than cells. "
            "Connect the image that was encoded, not a smaller one."
        )
    remedy = "Connect the image that goes into VAE Encode: as it is after any cropping or squashing, not before."
    check_shape((height, width), latent_size, downscale, "image", remedy)
    pictures = pictures[..., :3].to("cpu", torch.float32)
    if not torch.isfinite(pictures).all():
        raise ValueError("The image contains NaN or infinity. Connect the image that was encoded.")
    return pictures.expand(maps, -1, -1, -1)


def check_shape(size: Size, latent_size: Size, downscale: int, name: str, remedy: str) -> None:
    """Refuse a picture of another shape than the encoded one's, whose cells would be stretched over what they do not show.

    Any size is right, and what VAE Encode cuts off, less than a cell, may be there: columns / (rows + 1) < width / height <
    (columns + 1) / rows. So is a shape within `SHAPE_TOLERANCE`.

    Raises:
        ValueError: as above; `name` says what came, `remedy` what to do.
    """
    (height, width), (rows, columns) = size, latent_size
    ratio = width * rows / (height * columns)
    if 1 / (1 + max(1 / rows, SHAPE_TOLERANCE)) <= ratio <= 1 + max(1 / columns, SHAPE_TOLERANCE):
        return
    other = "wider" if ratio > 1 else "taller"
    raise ValueError(
        f"The {name} has {width}×{height} pixels, but {columns * downscale}×{rows * downscale} were encoded ({columns}×{rows} "
        f"latent cells of {downscale}): its shape is {max(ratio, 1 / ratio) - 1:.0%} {other}, so the map would not lie on what "
        f"it explains. {remedy}"
    )


def resize(pictures: Tensor, size: Size) -> Tensor:
    """Pictures [B,H,W,3] at another size, by Lanczos windows; unchanged where they have that size."""
    if tuple(pictures.shape[1:3]) == tuple(size):
        return pictures
    return torch.stack(
        [from_image(to_image(picture).resize((size[1], size[0]), Image.Resampling.LANCZOS)) for picture in pictures]
    )


def from_image(image: Image.Image) -> Tensor:
    """A Pillow picture as [H,W,3] in 0..1."""
    return torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32) / 255)


def to_image(picture: Tensor) -> Image.Image:
    """A picture [H,W,3] in 0..1 for Pillow."""
    return Image.fromarray((picture.clamp(0, 1) * 255).round().byte().numpy())
