"""Annotations of boxes: what is read of one image, and the checks of it."""

import abc
import pathlib
from typing import NamedTuple

from mtl_jax.core.validation import BadInput


class Box(NamedTuple):
    """An object of an image; edges are in pixels, of which the first begins at 0."""

    name: str  # of its class
    left: float
    top: float
    right: float
    bottom: float


class AnnotatedImage(NamedTuple):
    """An image with its boxes."""

    image: pathlib.Path
    size: tuple[int, int] | None  # height and width as annotated
    boxes: list[Box]
    where: str  # name of the annotation in errors


class Annotations(NamedTuple):
    """The annotations of a part."""

    images: list[AnnotatedImage]
    classes: tuple[str, ...]  # in the order of the format: sorted names, or ids


class BoxLayout(abc.ABC):
    """How a folder stores images and boxes, for `Boxes`."""

    @abc.abstractmethod
    def files(self, root: pathlib.Path) -> list[pathlib.Path]:
        """The files of annotations, whose changes are noticed.

        Raises:
          BadInput: naming a file that does not exist.
        """

    @abc.abstractmethod
    def read(self, root: pathlib.Path) -> dict[str, Annotations]:
        """The annotations of train, test and, if there is one, validation; no image is read."""


def require_file(file: pathlib.Path) -> pathlib.Path:
    """A file, which must exist."""
    if not file.is_file():
        raise BadInput(f"{file} must be a file, and there is none")
    return file
