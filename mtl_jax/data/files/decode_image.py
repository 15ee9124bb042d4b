"""Encoded images to arrays of bytes, by Pillow."""

import os
import pathlib
import warnings
from typing import Any

import numpy as np

from mtl_jax.core.validation import BadInput, DataWarning, require

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# Formats of still images by Pillow's names, the frequent ones first, since they are tried in turn.
# It knows HEIF once pillow_heif has registered it.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "PPM", "BMP", "GIF", "JPEG2000", "AVIF", "HEIF", "DIB")
FORMATS += ("QOI", "SGI", "PCX", "TGA")
ORIENTATION = 274  # tag of EXIF
TRANSPOSES = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
BITS, PHOTOMETRIC = 258, 262  # tags of TIFF
DARK = 4096  # what 12 bits hold; medical and microscopic images often hold no more in 16


def formats() -> list[str]:
    """Those of `FORMATS` that Pillow, as it is installed, reads."""
    from PIL import Image

    Image.init()  # It knows few of its plugins before; a second time it does nothing.
    return [name for name in FORMATS if name in Image.OPEN]


def suffixes() -> set[str]:
    """Suffixes of the files that are read as images."""
    from PIL import Image

    there = formats()
    return {suffix for suffix, name in Image.registered_extensions().items() if name in there}


def read(file: pathlib.Path, size: tuple[int, int]) -> np.ndarray:
    """Reads a file as an RGB image, see `decode`."""
    return decode(file, 3, size)


def decode(
    file: Any, channels: int, size: tuple[int, int] | None, where: str | None = None
) -> np.ndarray:
    """Reads an image as uint8 `[H, W, channels]`, resized bilinearly to `size` if it is given.

    It stands as its EXIF orientation says. Of 16 bits the upper 8 are taken. What is transparent is
    laid on white, unless there is a channel for it. Of an animation or of several pages it is the
    first. Colour profiles are not applied.

    Args:
      file: a path, or an open binary file.
      channels: 1 (grey), 3 (RGB) or 4 (RGBA).
      size: height and width, or None for those of the file.
      where: what the image is called if it cannot be read; None is its path.

    Warns:
      DataWarning: if of 16 bits it uses the lower ones only.

    Raises:
      BadInput: naming the image, if it is damaged, has far too many pixels, or holds floats or
        integers of 32 bits, whose white no file tells.
    """
    from PIL import Image, UnidentifiedImageError

    where = str(file) if where is None else where
    try:
        with Image.open(file, formats=formats()) as image:
            image = converted(upright(image, where), MODES[channels])
            if size is not None and image.size != size[::-1]:  # Pillow counts columns first.
                image = image.resize(size[::-1], Image.Resampling.BILINEAR)
            return np.asarray(image).reshape(*image.size[::-1], channels)
    except BadInput:
        raise
    except Image.DecompressionBombError as error:
        hint = "make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS"
        text = str(error).rstrip(".")
        raise BadInput(f"{where} has too many pixels: {text}; {hint}") from error
    # Each of Pillow's decoders raises what it meets: OSError, SyntaxError, RuntimeError, TypeError.
    except Exception as error:
        unknown = isinstance(error, UnidentifiedImageError)  # Its text holds an address.
        why = "it is damaged, or of a format that is not read" if unknown else error
        rule = f"cannot be read as an image, it has {length(file)} bytes"
        raise BadInput(f"{where} {rule}: {why}") from error


def length(file: Any) -> int:
    """How many bytes a path or an open file has."""
    try:
        return os.stat(file).st_size if isinstance(file, str | os.PathLike) else file.seek(0, 2)
    except OSError:  # It is not there.
        return 0


def upright(image: Any, where: str) -> Any:
    """An image of 8 bits as its EXIF orientation shows it; others of its tags may be damaged."""
    from PIL import Image

    image.load()  # A TIFF is turned by this, and some PNG have their EXIF last.
    turn = TRANSPOSES.get(image.getexif().get(ORIENTATION))
    image = eight_bits(image, where)
    return image if turn is None else image.transpose(Image.Transpose[turn])


def eight_bits(image: Any, where: str) -> Any:
    """An image with the upper 8 of its 16 bits, if it has so many, as colours have them already.

    Raises:
      BadInput: for floats, and for integers of more bits.
    """
    from PIL import Image

    if image.mode not in ("I", "F") and not image.mode.startswith("I;"):
        return image
    # Pillow makes 16 bits of what Netpbm has, whatever its largest value, and once made 32 of PNG's.
    wide = image.mode == "I" and image.format not in ("PNG", "PPM")
    if wide or image.mode == "F":
        kind = "floats" if image.mode == "F" else "integers of 32 bits"
        rule = f"holds {kind} (mode {image.mode}), and no file tells which of them is white"
        raise BadInput(f"{where} {rule}: save it with 8 or 16 bits, or give data.Arrays in [0, 1]")
    tags = image.tag_v2 if image.format == "TIFF" else {}
    values = np.asarray(image.convert("I"))
    bits = tags.get(BITS, (16,))[0]
    if bits == 16 and 0 < values.max() < DARK:
        told = f"of 16 bits, but with no value above {values.max()} of 65535, so it is nearly black"
        warnings.warn(told, DataWarning, stacklevel=2)
    grey = (values >> (bits - 8)).astype(np.uint8)
    grey = Image.fromarray(255 - grey if tags.get(PHOTOMETRIC) == 0 else grey)
    clear = image.info.get("transparency")
    if clear is None:
        return grey
    opaque = np.where(values == clear, 0, 255).astype(np.uint8)
    return Image.merge("LA", (grey, Image.fromarray(opaque)))


def converted(image: Any, mode: str) -> Any:
    """An image of 8 bits in another mode, what is transparent laid on white."""
    from PIL import Image

    if mode == "RGBA" or not image.has_transparency_data:
        return image if image.mode == mode else image.convert(mode)
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert(mode)


def require_size(owner: object) -> None:
    """Requires the field `size` to be a height and a width."""
    whole = isinstance(owner.size, tuple) and [type(n) for n in owner.size] == [int, int]
    require(whole and min(owner.size) >= 1, owner, "size", "must be (height, width)", owner.size)
