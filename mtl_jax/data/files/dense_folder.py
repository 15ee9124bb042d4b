"""A data source for images with label maps of their pixels in other folders."""

import dataclasses
import functools
import pathlib
from typing import NamedTuple

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.files.decode_image import require_size
from mtl_jax.data.files.duplicates import warn_of_repeats
from mtl_jax.data.files.file_rows import FileRows, image_rows
from mtl_jax.data.files.image_files import read_all
from mtl_jax.data.files.image_size import common_size, image_size
from mtl_jax.data.files.label_maps import ClassMap, LabelMap
from mtl_jax.data.files.listed_images import (
    ImageIndex,
    index_images,
    listed_images,
    one_file_each,
    require_parts,
)
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.random_split import hold_out


class Example(NamedTuple):
    """The files of one image."""

    image: pathlib.Path
    maps: dict[str, pathlib.Path | None]  # by label


@dataclasses.dataclass(frozen=True)
class DenseFolder(DataSource):
    """Images and label maps: "inputs" uint8 `[N, H, W, 3]`, and a label for each pixel.

    An image and its maps have the same path in their folders, but for suffixes and endings, and the
    same size; both are resized to one size, images bilinearly and maps by nearest neighbours. In
    the names of folders and lists, "{part}" stands for the name of a part. The parts are all images
    of a folder each, or those that lists name, one a line.

    Pascal VOC's segmentation, whose test labels are not public, with its validation images as the
    test part:

        DenseFolder(
            "VOCdevkit/VOC2012", (ClassMap("segmentation", "SegmentationClass"),), "JPEGImages",
            lists="ImageSets/Segmentation/{part}.txt", parts=("train", None, "val"), size=(256, 256),
        )

    Cityscapes as published (`mapping` has the 19 classes that count):

        maps = ClassMap(
            "segmentation", "gtFine/{part}", "_gtFine_labelIds", mapping=..., ignore=(*range(34),)
        )
        DenseFolder(
            "cityscapes", (maps,), "leftImg8bit/{part}", ending="_leftImg8bit",
            parts=("train", None, "val"), size=(256, 512),
        )

    Attributes:
      path: path of the folder.
      labels: label maps, `ClassMap` or `NumberMap`.
      images: folder of the images.
      lists: list of a part's images, by their paths in `images`; None is all images.
      parts: names of train, validation and test; None samples validation from train.
      size: height and width that images and maps are resized to; None if all have one size.
      ending: what an image's file name has before its suffix and a map's has not; images without
        it are left out.
      validation: fraction of train that is held out, if `parts` has no validation.
      seed: seed of that.

    Raises:
      BadInput: for a setting of the wrong type, two labels of one name, parts that are not
        distinguished, a fraction outside (0, 1) or a negative seed; from `shapes` and `load` for a
        folder that does not exist, a part without images, a line of a list that names no image, a
        map that is missing or ambiguous, or, without `size`, images of several sizes; and from
        `load`, naming the file, for an image or a map that cannot be read, a map of another size
        than its image, or pixels without a class.

    Warns:
      DataWarning: from `load`, for identical images in two parts, and images as in `Folder`.

    Example:
      >>> from mtl_jax import data
      >>> maps = (data.ClassMap("segmentation"), data.NumberMap("depth", "depth/{part}"))
      >>> data.DenseFolder("scenes", maps, size=(96, 128)).images
      'images/{part}'
    """

    path: str
    labels: tuple[LabelMap, ...] = (ClassMap("segmentation"),)
    images: str = "images/{part}"
    lists: str | None = None
    parts: tuple[str, str | None, str] = ("train", "val", "test")
    size: tuple[int, int] | None = None
    ending: str = ""
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self):
        for field in ("path", "images", "ending"):
            value = getattr(self, field)
            require(isinstance(value, str), self, field, "must be a string", value)
        valid = isinstance(self.labels, tuple) and len(self.labels) > 0
        valid = valid and all(isinstance(label, LabelMap) for label in self.labels)
        require(valid, self, "labels", "must be a tuple of ClassMap or NumberMap", self.labels)
        names = [label.name for label in self.labels]
        require(len({*names}) == len(names), self, "labels", "must have different names", names)
        require_parts(self)
        where = self.images if self.lists is None else self.lists
        field = "images" if self.lists is None else "lists"
        require("{part}" in where, self, field, 'must have "{part}" in its name', where)
        if self.size is not None:
            require_size(self)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; reads lists and, without `size`, one header."""
        examples = self.examples()["train"]
        size = image_size(examples[0].image) if self.size is None else self.size
        shapes = {"inputs": jax.ShapeDtypeStruct((len(examples), *size, 3), np.uint8)}
        for label in self.labels:
            one = label.empty((1, 1, 1))
            shape = (len(examples), *size, *one.shape[3:])
            shapes[label.name] = jax.ShapeDtypeStruct(shape, one.dtype)
        return shapes

    def num_labelled(self) -> int:
        """Number of training images with a map of any label."""
        return sum(any(example.maps.values()) for example in self.examples()["train"])

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of each label that names them."""
        maps = [label for label in self.labels if isinstance(label, ClassMap)]
        return {label.name: label.classes for label in maps if label.classes}

    def open_splits(self) -> Splits:
        """The same as `load` with images and maps that are read when needed, and not compared.

        That a map has the size of its image is not checked, and without `size` nor is that all
        images have one.
        """
        examples = self.examples()
        size = image_size(examples["train"][0].image) if self.size is None else self.size
        return Splits(
            **{
                name: {"inputs": image_rows([example.image for example in part], size)}
                | {label.name: map_rows(label, part, size) for label in self.labels}
                for name, part in examples.items()
            }
        )

    def load(self) -> Splits:
        """Reads the images and the maps."""
        examples = self.examples()
        files = [example.image for part in examples.values() for example in part]
        size = common_size(files) if self.size is None else self.size
        parts, hashes = {}, {}
        for name, part in examples.items():
            images = [example.image for example in part]
            pixels, hashes[name] = read_all(self, images, size)
            maps = {label.name: self.read_maps(label, part, size) for label in self.labels}
            parts[name] = {"inputs": pixels, **maps}
        warn_of_repeats(self, "bytes", hashes, user_split=True, unit="file")
        return Splits(**parts)

    def read_maps(self, label: LabelMap, part: list[Example], size: tuple[int, int]) -> np.ndarray:
        """The maps of one label, `[N, H, W, ...]`."""
        maps = label.empty((len(part), *size))
        for row, example in zip(maps, part, strict=True):
            file = example.maps[label.name]
            if file is not None:
                sizes = image_size(example.image), image_size(file)
                if sizes[0] != sizes[1]:
                    rule = f"must have the size {sizes[0]} of {example.image}, not {sizes[1]}"
                    raise BadInput(f"{file} {rule}")
                row[...] = label.read(file, size)
        return maps

    def examples(self) -> dict[str, list[Example]]:
        """The files of train, validation and test; they are listed, not read."""
        root = expand_path(self.path)
        require(root.is_dir(), self, "path", "must be a folder", self.path)
        parts = {
            field: self.part_examples(root, name)
            for field, name in zip(Splits._fields, self.parts, strict=True)
            if name is not None
        }
        train = parts["train"]
        if "validation" not in parts:
            require(len(train) > 1, self, "path", "must have two images to train", self.path)
            rows = hold_out(len(train), self.validation, self.seed, "dense_folder")
            pair = ([train[i] for i in indices] for indices in rows)
            parts |= dict(zip(("train", "validation"), pair, strict=True))
        return {field: parts[field] for field in Splits._fields}

    def part_examples(self, root: pathlib.Path, part: str) -> list[Example]:
        """The files of one part."""
        images = index_images(self.folder(root, self.images, part), self.ending)
        one_file_each(images)
        if self.lists is None:
            keys = list(images)
        else:
            keys = listed_images(root / self.lists.replace("{part}", part), images, self.ending)
        if not keys:
            raise BadInput(f"{root} must have images for {part!r} in {self.images!r}")
        maps = {}
        for label in self.labels:
            folder = self.folder(root, label.folder, part)
            index = index_images(folder, label.ending)
            maps[label.name] = {
                key: find_map(label, folder, index, key, images[key][0]) for key in keys
            }
        return [
            Example(images[key][0], {name: files[key] for name, files in maps.items()})
            for key in keys
        ]

    def folder(self, root: pathlib.Path, name: str, part: str) -> pathlib.Path:
        """A folder of a part, which must exist."""
        folder = root / name.replace("{part}", part)
        if not folder.is_dir():
            raise BadInput(f"{type(self).__name__}: {folder} must be a folder, and is none")
        return folder


def map_rows(label: LabelMap, part: list[Example], size: tuple[int, int]) -> FileRows:
    """The maps of one label, `[N, H, W, ...]`, read when needed."""
    files = [example.maps[label.name] for example in part]
    one = label.empty((1, *size))
    read_file = functools.partial(label.read, size=size)
    return FileRows(files, read_file, one.shape[1:], one.dtype, one.flat[0])


def find_map(
    label: LabelMap, folder: pathlib.Path, index: ImageIndex, key: str, image: pathlib.Path
) -> pathlib.Path | None:
    """The map of an image, None if it may lack one."""
    files = index.get(key, [])
    if len(files) == 1 or (not files and label.optional):
        return files[0] if files else None
    rule = f"{image} must have one map of {label.name!r}, {folder / key}{label.ending}.png"
    raise BadInput(f"{rule}, and has {len(files) or 'none'}")
