"""Boxes in the layout of COCO: a JSON file for each part."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.files.annotated_boxes import (
    AnnotatedImage,
    Annotations,
    Box,
    BoxLayout,
    require_file,
)
from mtl_jax.data.files.text_files import parse_json, read_text

Pair = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class COCO(BoxLayout):
    """COCO: for each part a JSON file of annotations, and a folder of images.

    Boxes `[x, y, width, height]` become edges; classes are the categories in the order of their
    ids. COCO's test labels are not public: by default its validation images are the test part, and
    validation is sampled from train.

    Attributes:
      train: file of annotations and folder of images, in that of the source.
      validation: the same for validation; None samples it from train.
      test: the same for test.
      crowd: whether boxes of crowds (`iscrowd`) count.

    Raises:
      BadInput: for settings that are not such pairs, or two parts with one file; and when it is
        read, naming the file, if it does not exist, is no such JSON, has other categories than
        train's, or a box of an image or a category that it lacks.

    Reference: Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014
      (https://arxiv.org/abs/1405.0312), and https://cocodataset.org/#format-data.

    Example:
      >>> from mtl_jax import data
      >>> data.COCO().test
      ('annotations/instances_val2017.json', 'val2017')
    """

    train: Pair = ("annotations/instances_train2017.json", "train2017")
    validation: Pair | None = None
    test: Pair = ("annotations/instances_val2017.json", "val2017")
    crowd: bool = False

    def __post_init__(self):
        for field in ("train", "validation", "test"):
            pair = getattr(self, field)
            valid = isinstance(pair, tuple) and len(pair) == 2
            valid = valid and all(isinstance(name, str) for name in pair)
            valid = valid or (field == "validation" and pair is None)
            require(valid, self, field, "must be a file and a folder", pair)
        names = [pair[0] for pair in self.parts().values()]
        require(len({*names}) == len(names), self, "test", "must have a file of its own", names)
        valid = isinstance(self.crowd, bool)
        require(valid, self, "crowd", "must be True or False", self.crowd)

    def parts(self) -> dict[str, Pair]:
        """File and folder of each part that has them."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return {part: pair for part, pair in parts.items() if pair is not None}

    def files(self, root: pathlib.Path) -> list[pathlib.Path]:
        """The files of annotations."""
        return [require_file(root / name) for name, _ in self.parts().values()]

    def read(self, root: pathlib.Path) -> dict[str, Annotations]:
        """The annotations of each part."""
        parts = {part: self.read_part(root, *pair) for part, pair in self.parts().items()}
        for part, annotations in parts.items():
            classes = parts["train"].classes
            if annotations.classes != classes:
                file = root / self.parts()[part][0]
                raise BadInput(f"{file} must have train's categories, not {annotations.classes}")
        return parts

    def read_part(self, root: pathlib.Path, name: str, folder: str) -> Annotations:
        """The annotations of one part, images in the order of the file."""
        file = root / name
        content = parse_json(str(file), read_text(require_file(file)))
        try:
            names = {c["id"]: c["name"] for c in content["categories"]}
            boxes = {image["id"]: [] for image in content["images"]}
            for item in content["annotations"]:
                box = to_box(file, item, names)
                if item["image_id"] not in boxes:
                    raise BadInput(
                        f"{file} has a box of image {item['image_id']!r}, which it lacks"
                    )
                if self.crowd or not item.get("iscrowd", 0):
                    boxes[item["image_id"]].append(box)
            images = [
                AnnotatedImage(
                    root / folder / image["file_name"],
                    (image["height"], image["width"]),
                    boxes[image["id"]],
                    f"{file}, image {image['id']!r}",
                )
                for image in content["images"]
            ]
        except (KeyError, TypeError) as error:
            rule = "must have images, categories and annotations as COCO has them"
            raise BadInput(f"{file} {rule}: {type(error).__name__} {error}") from error
        return Annotations(images, tuple(names[key] for key in sorted(names)))


def to_box(file: pathlib.Path, item: Mapping[str, Any], names: Mapping[int, str]) -> Box:
    """The box of an annotation."""
    if item["category_id"] not in names:
        raise BadInput(f"{file} has a box of category {item['category_id']!r}, which it lacks")
    box = item["bbox"]
    valid = isinstance(box, list) and len(box) == 4 and all(isinstance(v, int | float) for v in box)
    if not valid:
        raise BadInput(f"{file} must have boxes [x, y, width, height], not {box!r}")
    left, top, width, height = box
    return Box(names[item["category_id"]], left, top, left + width, top + height)
