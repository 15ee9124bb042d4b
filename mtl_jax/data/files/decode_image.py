"""Decoding of images to byte arrays with Pillow."""

import io
import os
import pathlib
import warnings
from typing import Any, Protocol

import numpy as np

from mtl_jax.core.validation import BadInput, DataWarning, require

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
# Pillow's names of still image formats, frequent ones first, since they are tried in order.
# HEIF is available once pillow_heif has registered it.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "PPM", "BMP", "GIF", "JPEG2000", "AVIF", "HEIF", "DIB")
FORMATS += ("QOI", "SGI", "PCX", "TGA")
ORIENTATION = 274  # EXIF tag
TRANSPOSES = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
BITS, PHOTOMETRIC = 258, 262  # TIFF tags
SMALL_FILE = 2**16  # bytes
DARK_RANGE = (
    4096  # range of 12 bits, which is often all that 16-bit medical and microscopic images use
)


def readable_formats() -> list[str]:
    """The formats of `FORMATS` that the installed Pillow reads."""
    import PIL.Image  # Here and below, `from PIL` would take as long as a tenth of a small image.

    PIL.Image.init()  # Loads all plugins; a second call does nothing.
    return [name for name in FORMATS if name in PIL.Image.OPEN]


def suffixes() -> set[str]:
    """Suffixes of the files that are read as images."""
    from PIL import Image

    readable = readable_formats()
    return {suffix for suffix, name in Image.registered_extensions().items() if name in readable}


def read_image(file: str | pathlib.Path, size: tuple[int, int]) -> np.ndarray:
    """Reads a file as an RGB image, see `decode_image`."""
    return decode_image(file, 3, size)


def decode_image(
    file: Any, channels: int, size: tuple[int, int] | None, where: str | None = None
) -> np.ndarray:
    """Decodes an image to uint8 `[H, W, channels]`, bilinearly resized to `size` if given.

    EXIF orientation is applied. Of 16 bits the upper 8 are kept. Transparent pixels are composited
    on white, unless there is an alpha channel. Of an animation or a multi-page file the first frame
    is used. Colour profiles are not applied.

    Args:
      file: a path, or an open binary file.
      channels: 1 (grayscale), 3 (RGB) or 4 (RGBA).
      size: height and width, or None for those of the file.
      where: name of the image in errors; None is its path.

    Warns:
      DataWarning: if a 16-bit image only uses the lower bits.

    Raises:
      BadInput: naming the image, if it is damaged, has far too many pixels, or contains floats or
        32-bit integers, for which no white level is defined.
    """
    import PIL.Image

    where = str(file) if where is None else where
    try:
        with PIL.Image.open(in_memory(file), formats=readable_formats()) as image:
            image = convert_mode(apply_orientation(image, where), MODES[channels])
            if size is not None and image.size != size[::-1]:  # Pillow's order is (width, height).
                image = image.resize(size[::-1], PIL.Image.Resampling.BILINEAR)
            # Takes less time than np.asarray, which matters for a small image.
            return np.frombuffer(image.tobytes(), np.uint8).reshape(*image.size[::-1], channels)
    except BadInput:
        raise
    except PIL.Image.DecompressionBombError as error:
        hint = "make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS"
        text = str(error).rstrip(".")
        raise BadInput(f"{where} has too many pixels: {text}; {hint}") from error
    # Pillow's decoders raise various types: OSError, SyntaxError, RuntimeError, TypeError.
    except Exception as error:
        unknown = isinstance(error, PIL.UnidentifiedImageError)  # Its message has an address.
        reason = "it is damaged, or of a format that is not read" if unknown else error
        rule = f"cannot be read as an image, it has {byte_count(file)} bytes"
        raise BadInput(f"{where} {rule}: {reason}") from error


def in_memory(file: Any) -> Any:
    """A small file as its bytes, of which Pillow reads many short parts; others as they are."""
    if not isinstance(file, str | os.PathLike):
        return file
    with open(file, "rb") as stream:
        content = stream.read(SMALL_FILE)
    return io.BytesIO(content) if len(content) < SMALL_FILE else file


def byte_count(file: Any) -> int:
    """Number of bytes of a path or an open file."""
    try:
        return os.stat(file).st_size if isinstance(file, str | os.PathLike) else file.seek(0, 2)
    except OSError:  # The file does not exist.
        return 0


def apply_orientation(image: Any, where: str) -> Any:
    """An 8-bit image with its EXIF orientation applied; other tags may be damaged."""
    image.load()  # Applies the orientation of TIFF; some PNG files have their EXIF data last.
    # Most JPEG files have none, and looking for it takes a tenth of the time of a small one.
    has_none = image.format == "JPEG" and not ("exif" in image.info or "xmp" in image.info)
    transpose = None if has_none else TRANSPOSES.get(image.getexif().get(ORIENTATION))
    image = to_eight_bits(image, where)
    if transpose is None:
        return image
    import PIL.Image

    return image.transpose(PIL.Image.Transpose[transpose])


def to_eight_bits(image: Any, where: str) -> Any:
    """Reduces a 16-bit image to its upper 8 bits, as Pillow already does for colour images.

    Raises:
      BadInput: for floats, and for integers of more bits.
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;"):
        return image
    from PIL import Image

    # Pillow scales any Netpbm range to 16 bits; old versions read 16-bit PNG as 32 bits.
    has_32_bits = image.mode == "I" and image.format not in ("PNG", "PPM")
    if has_32_bits or image.mode == "F":
        kind = "floats" if image.mode == "F" else "integers of 32 bits"
        rule = f"holds {kind} (mode {image.mode}), for which no white level is defined"
        raise BadInput(f"{where} {rule}: save it with 8 or 16 bits, or give data.Arrays in [0, 1]")
    tags = image.tag_v2 if image.format == "TIFF" else {}
    values = np.asarray(image.convert("I"))
    bits = tags.get(BITS, (16,))[0]
    if bits == 16 and 0 < values.max() < DARK_RANGE:
        text = f"of 16 bits, but with no value above {values.max()} of 65535, so it is nearly black"
        warnings.warn(text, DataWarning, stacklevel=2)
    levels = (values >> (bits - 8)).astype(np.uint8)
    gray = Image.fromarray(255 - levels if tags.get(PHOTOMETRIC) == 0 else levels)
    transparent = image.info.get("transparency")
    if transparent is None:
        return gray
    alpha = np.where(values == transparent, 0, 255).astype(np.uint8)
    return Image.merge("LA", (gray, Image.fromarray(alpha)))


def convert_mode(image: Any, mode: str) -> Any:
    """Converts an 8-bit image to another mode, with transparent pixels composited on white."""
    if mode == "RGBA" or not image.has_transparency_data:
        return image if image.mode == mode else image.convert(mode)
    from PIL import Image

    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image.convert("RGBA"))
    return white.convert(mode)


class HasSize(Protocol):
    """A source with a size of its images."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the images; None if they are not resized."""


def require_size(source: HasSize) -> None:
    """Checks that the field `size` is a height and a width."""
    size = source.size
    integers = isinstance(size, tuple) and [type(n) for n in size] == [int, int]
    valid = integers and min(size) >= 1
    require(valid, source, "size", "must be (height, width)", size)
