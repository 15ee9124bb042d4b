"""Encoded images to arrays of bytes, by Pillow."""

from typing import Any

import numpy as np

from mtl_jax.checks import require

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def decode(file: Any, channels: int, size: tuple[int, int] | None) -> np.ndarray:
    """Reads an image as uint8 `[H, W, channels]`, resized bilinearly to `size` if it is given.

    Args:
      file: a path, or an open binary file.
      channels: 1 (grey), 3 (RGB) or 4 (RGBA).
      size: height and width, or None for those of the file.
    """
    from PIL import Image

    with Image.open(file) as image:
        image = image.convert(MODES[channels])
        if size is not None and image.size != size[::-1]:  # Pillow counts columns first.
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(*image.size[::-1], channels)


def require_size(owner: object) -> None:
    """Requires the field `size` to be a height and a width."""
    whole = isinstance(owner.size, tuple) and [type(n) for n in owner.size] == [int, int]
    require(whole and min(owner.size) >= 1, owner, "size", "must be (height, width)", owner.size)
