"""Sizes of images, read from the headers of their files."""

import pathlib
from collections.abc import Sequence

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.decode_image import ORIENTATION, readable_formats

FIRST_TURNED = 5  # EXIF orientations from this one on exchange height and width.


def image_size(file: pathlib.Path) -> tuple[int, int]:
    """Height and width of an image as `decode_image` returns it; only its header is read.

    Raises:
      BadInput: naming the file, if it cannot be read as an image.
    """
    from PIL import Image

    try:
        with Image.open(file, formats=readable_formats()) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION, 1) >= FIRST_TURNED
    except Exception as error:  # Pillow's readers raise various types.
        raise BadInput(f"{file} cannot be read as an image: {error}") from error
    return (width, height) if turned else (height, width)


def common_size(files: Sequence[pathlib.Path]) -> tuple[int, int]:
    """The size that all images have.

    Raises:
      BadInput: naming two files of different sizes.
    """
    first = image_size(files[0])
    for file in files[1:]:
        size = image_size(file)
        if size != first:
            rule = f"must be of one size if size is None, not {first} and {size}"
            raise BadInput(f"{files[0]} and {file} {rule}")
    return first
