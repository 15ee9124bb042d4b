"""A data source for images with boxes of objects."""

import dataclasses
import functools
import pathlib
from typing import Literal

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, did_you_mean, require, require_choice, require_int
from mtl_jax.data.files.annotated_boxes import AnnotatedImage, Annotations, Box, BoxLayout
from mtl_jax.data.files.column_splits import stamps
from mtl_jax.data.files.data_warning import warn_of
from mtl_jax.data.files.decode_image import require_size
from mtl_jax.data.files.duplicates import warn_of_repeats
from mtl_jax.data.files.image_files import read_all
from mtl_jax.data.files.image_size import common_size, image_size
from mtl_jax.data.files.listed_images import require_held_out
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.files.voc_layout import VOC
from mtl_jax.data.random_split import hold_out

ROUNDING = 0.5  # Pixels by which a box may leave its image; it is clipped.
COLUMNS = 5  # class, x0, y0, x1, y1


@dataclasses.dataclass(frozen=True)
class Boxes(DataSource):
    """Images and boxes: "inputs" uint8 `[N, H, W, 3]`, and a label float32 `[N, M, 5]`.

    A row is `(class, x0, y0, x1, y1)`: the class as its index in `classes`, and the edges in pixels
    of the resized image, where the first pixel spans 0 to 1. Further rows have the class -1 and
    edges 0; an image may have none but these. Boxes are in the order of the annotation.

    Attributes:
      path: path of the folder.
      layout: layout of the folder, `VOC` or `COCO`.
      size: height and width that images are resized to, bilinearly; None if all have one size.
      label: name of the label.
      class_names: names of the classes in order; () are those of the layout. Boxes of other classes
        are an error.
      max_boxes: number M of rows; None is the largest number of boxes of an image of any part.
      invalid: what becomes of a box without area, or one that leaves its image by more than half a
        pixel: "error", or "skip" with a warning that counts them.
      validation: fraction of train that is held out, if the layout has no validation part.
      seed: seed of that.

    Raises:
      BadInput: for a setting of the wrong type; from `shapes`, `classes` and `load`, naming the
        file, for annotations that are missing or not of the layout, a part without images, a class
        beyond the names, more boxes than `max_boxes`, or an invalid box if that is an error; and
        from `load` for an image that is missing, cannot be read, is of another size than its
        annotation says, or, without `size`, than other images.

    Warns:
      DataWarning: from `load`, for skipped boxes, identical images in two parts, and images as in
        `Folder`.

    Example:
      >>> from mtl_jax import data
      >>> data.Boxes("coco", data.COCO(), size=(256, 256), max_boxes=100).layout.crowd
      False
    """

    path: str
    layout: BoxLayout = dataclasses.field(default_factory=VOC)
    size: tuple[int, int] | None = None
    label: str = "boxes"
    class_names: tuple[str, ...] = ()
    max_boxes: int | None = None
    invalid: Literal["error", "skip"] = "error"
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)
        valid = isinstance(self.layout, BoxLayout)
        require(valid, self, "layout", "must be a layout such as data.VOC()", self.layout)
        if self.size is not None:
            require_size(self)
        valid = isinstance(self.label, str) and self.label not in ("", "inputs")
        require(valid, self, "label", 'must be a name other than "inputs"', self.label)
        names = self.class_names
        valid = isinstance(names, tuple) and all(isinstance(c, str) for c in names)
        valid = valid and len({*names}) == len(names)
        require(valid, self, "class_names", "must be different names", names)
        if self.max_boxes is not None:
            require_int(self, max_boxes=1)
        require_choice(self, invalid=("error", "skip"))
        require_held_out(self)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; reads annotations and at most one header."""
        parts, _ = self.annotations()
        images = parts["train"].images
        size = image_size(images[0].image) if self.size is None else self.size
        rows = self.num_rows(parts)
        return {
            "inputs": jax.ShapeDtypeStruct((len(images), *size, 3), np.uint8),
            self.label: jax.ShapeDtypeStruct((len(images), rows, COLUMNS), np.float32),
        }

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of the boxes, in the order of their integers."""
        return {self.label: self.class_names or self.annotations()[0]["train"].classes}

    def load(self) -> Splits:
        """Reads the images and the boxes."""
        found, skipped = self.annotations()
        if skipped:
            warn_of(self, f"{len(skipped)} boxes are left out, the first: {skipped[0]}")
        names, rows = self.classes()[self.label], self.num_rows(found)
        files = [image.image for part in found.values() for image in part.images]
        size = common_size(files) if self.size is None else self.size
        parts, hashes = {}, {}
        for part, annotations in found.items():
            images = annotations.images
            pixels, hashes[part] = read_all(self, [image.image for image in images], size)
            boxes = np.stack([to_rows(image, names, rows, size) for image in images])
            parts[part] = {"inputs": pixels, self.label: boxes}
        warn_of_repeats(self, "bytes", hashes, user_split=True, unit="file")
        return Splits(**parts)

    def annotations(self) -> tuple[dict[str, Annotations], list[str]]:
        """The annotations of train, validation and test, and the faults of boxes left out."""
        root = expand_path(self.path)
        require(root.is_dir(), self, "path", "must be a folder", self.path)
        read, skipped = cached_annotations(self, root, stamps(self.layout.files(root)))
        parts = dict(read)
        if "validation" not in parts:
            images, classes = parts["train"]
            require(len(images) > 1, self, "path", "must have two images to train", self.path)
            rows = hold_out(len(images), self.validation, self.seed, "boxes")
            held = (Annotations([images[i] for i in indices], classes) for indices in rows)
            parts |= dict(zip(("train", "validation"), held, strict=True))
        return {field: parts[field] for field in Splits._fields}, skipped

    def num_rows(self, parts: dict[str, Annotations]) -> int:
        """Number of rows of the label."""
        images = [image for part in parts.values() for image in part.images]
        most = max(images, key=lambda image: len(image.boxes))
        if self.max_boxes is None:
            return max(1, len(most.boxes))
        rule = f"must be at least the number of boxes of {most.where}"
        valid = len(most.boxes) <= self.max_boxes
        require(valid, self, "max_boxes", f"{rule}, {len(most.boxes)}", self.max_boxes)
        return self.max_boxes


@functools.lru_cache(maxsize=8)
def cached_annotations(
    source: Boxes, root: pathlib.Path, stamps: tuple
) -> tuple[dict[str, Annotations], list[str]]:
    """A source's valid annotations and the faults of others, cached by the stamps of its files."""
    parts, faults = {}, []
    for part, (images, classes) in source.layout.read(root).items():
        require(len(images) > 0, source, "path", f"must have images for {part}", source.path)
        names, valid = source.class_names or classes, []
        for image in images:
            boxes, wrong = valid_boxes(image, names)
            if wrong and source.invalid == "error":
                raise BadInput(f'{wrong[0]}; leave such out by invalid="skip"')
            valid.append(image._replace(boxes=boxes))
            faults += wrong
        parts[part] = Annotations(valid, classes)
    return parts, faults


def valid_boxes(image: AnnotatedImage, names: tuple[str, ...]) -> tuple[list[Box], list[str]]:
    """The valid boxes of an image, and the faults of the others.

    Raises:
      BadInput: naming the annotation, for an unknown class.
    """
    boxes, faults = [], []
    for box in image.boxes:
        if box.name not in names:
            rule = f"must have boxes of the classes ({did_you_mean(box.name, names)})"
            raise BadInput(f"{image.where} {rule}, not {box.name!r}")
        fault = fault_of(image, box)
        if fault:
            faults.append(f"{image.where}: box {tuple(box)} {fault}")
        else:
            boxes.append(box)
    return boxes, faults


def fault_of(image: AnnotatedImage, box: Box) -> str:
    """What is wrong with a box, "" if nothing is."""
    if box.right <= box.left or box.bottom <= box.top:
        return "must have an area"
    height, width = image.size or image_size(image.image)
    inside = min(box.left, box.top) >= -ROUNDING
    inside = inside and box.right <= width + ROUNDING and box.bottom <= height + ROUNDING
    return "" if inside else f"must lie in its image of {height} x {width} pixels"


def to_rows(
    image: AnnotatedImage, names: tuple[str, ...], count: int, size: tuple[int, int]
) -> np.ndarray:
    """The boxes of an image as rows `[M, 5]`.

    Raises:
      BadInput: if the image has another size than its annotation says.
    """
    height, width = found = image_size(image.image)
    if image.size is not None and found != image.size:
        rule = f"must have the size of {image.image}, {found}, not {image.size}"
        raise BadInput(f"{image.where} {rule}")
    rows = np.zeros((count, COLUMNS), np.float32)
    rows[:, 0] = -1
    scale = np.array([size[1] / width, size[0] / height] * 2)
    for row, box in zip(rows, image.boxes, strict=False):
        edges = np.clip(box[1:], 0, [width, height] * 2)
        row[:] = names.index(box.name), *(edges * scale)
    return rows
