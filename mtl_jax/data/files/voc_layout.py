"""Boxes in the layout of Pascal VOC: an XML file for each image."""

import dataclasses
import math
import pathlib
from collections.abc import Iterator
from typing import Literal
from xml.etree import ElementTree

from mtl_jax.core.validation import BadInput, require, require_choice
from mtl_jax.data.files.annotated_boxes import (
    AnnotatedImage,
    Annotations,
    Box,
    BoxLayout,
    require_file,
)
from mtl_jax.data.files.decode_image import suffixes
from mtl_jax.data.files.text_files import lines_of, read_text

EDGES = ("xmin", "ymin", "xmax", "ymax")


@dataclasses.dataclass(frozen=True)
class VOC(BoxLayout):
    """Pascal VOC: `Annotations/*.xml`, `JPEGImages` and lists `ImageSets/Main/*.txt`.

    Classes are the names that occur in any part, sorted, unless `Boxes.classes` gives them.

    Attributes:
      train: name of the list of training images.
      validation: name of that of validation images; None samples them from train.
      test: name of that of test images.
      first_pixel: 1 if coordinates are of pixels that are counted from 1, the last ones included,
        as in Pascal VOC: then `x0 = xmin - 1, x1 = xmax`. 0 if they are edges, as many tools write
        them: then `x0 = xmin, x1 = xmax`.
      difficult: whether objects marked as difficult count.

    Raises:
      BadInput: for a setting of the wrong type, or a list of two parts; and when it is read, for a
        list or an annotation that does not exist, is no such XML, or has no numbers.

    Reference: Everingham et al., The PASCAL Visual Object Classes (VOC) Challenge, IJCV 2010, its
      section on annotation (https://doi.org/10.1007/s11263-009-0275-4).

    Example:
      >>> from mtl_jax import data
      >>> data.VOC(train="trainval", validation=None)
      VOC(train='trainval', validation=None, test='test', first_pixel=1, difficult=True)
    """

    train: str = "train"
    validation: str | None = "val"
    test: str = "test"
    first_pixel: Literal[0, 1] = 1
    difficult: bool = True

    def __post_init__(self):
        for field in ("train", "test"):
            value = getattr(self, field)
            require(isinstance(value, str), self, field, "must be a string", value)
        valid = isinstance(self.validation, str | None)
        require(valid, self, "validation", "must be a string or None", self.validation)
        names = (self.train, self.validation, self.test)
        require(len({*names}) == 3, self, "test", "must be another list than the others", names)
        require_choice(self, first_pixel=(0, 1), difficult=(True, False))

    def lists(self, root: pathlib.Path) -> dict[str, pathlib.Path]:
        """The list of each part."""
        names = {"train": self.train, "validation": self.validation, "test": self.test}
        return {
            part: require_file(root / "ImageSets" / "Main" / f"{name}.txt")
            for part, name in names.items()
            if name is not None
        }

    def files(self, root: pathlib.Path) -> list[pathlib.Path]:
        """The lists and the annotations."""
        lists = self.lists(root).values()
        names = [name for file in lists for name in listed_names(file)]
        return [*lists, *(annotation(root, name) for name in names)]

    def read(self, root: pathlib.Path) -> dict[str, Annotations]:
        """The annotations of each part."""
        parts = {
            part: [self.read_image(root, name) for name in listed_names(file)]
            for part, file in self.lists(root).items()
        }
        names = {box.name for part in parts.values() for image in part for box in image.boxes}
        return {part: Annotations(images, tuple(sorted(names))) for part, images in parts.items()}

    def read_image(self, root: pathlib.Path, name: str) -> AnnotatedImage:
        """The annotation of one image."""
        file = annotation(root, name)
        try:
            tree = ElementTree.fromstring(read_text(file))
        except ElementTree.ParseError as error:
            raise BadInput(f"{file} must be XML: {error}") from error
        width, height = (number(file, tree, f"size/{side}", 0.0) for side in ("width", "height"))
        size = (int(height), int(width)) if width and height else None
        boxes = list(self.read_boxes(file, tree))
        return AnnotatedImage(find_image(root, name), size, boxes, str(file))

    def read_boxes(self, file: pathlib.Path, tree: ElementTree.Element) -> Iterator[Box]:
        """The boxes of an annotation."""
        for item in tree.iterfind("object"):
            name = (item.findtext("name") or "").strip()
            if not name:
                raise BadInput(f"{file} must name the class of each object")
            if self.difficult or not number(file, item, "difficult", 0.0):
                left, top, right, bottom = (number(file, item, f"bndbox/{e}") for e in EDGES)
                yield Box(name, left - self.first_pixel, top - self.first_pixel, right, bottom)


def listed_names(file: pathlib.Path) -> list[str]:
    """Names of the images in a list; VOC's lists of one class have a second column.

    Raises:
      BadInput: if there is none, or one twice.
    """
    names = [line.split()[0] for line in lines_of(read_text(file)) if line.strip()]
    if not names or len({*names}) < len(names):
        raise BadInput(f"{file} must name images, each of them once")
    return names


def annotation(root: pathlib.Path, name: str) -> pathlib.Path:
    """The annotation of an image."""
    return require_file(root / "Annotations" / f"{name}.xml")


def find_image(root: pathlib.Path, name: str) -> pathlib.Path:
    """The file of an image, a JPEG if there is one."""
    folder = root / "JPEGImages"
    endings = (".jpg", *sorted(suffixes()))
    found = (folder / f"{name}{suffix}" for suffix in endings)
    return next((file for file in found if file.is_file()), folder / f"{name}.jpg")


def number(
    file: pathlib.Path, item: ElementTree.Element, path: str, default: float | None = None
) -> float:
    """A number in an annotation."""
    text = item.findtext(path)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{file} must have a number {path!r} of each object, not {text!r}")
    return value
