"""A source of images whose labels stand in a table beside them."""

import dataclasses
import functools
from typing import Literal

import jax
import numpy as np

from mtl_jax.core.protocols import Splits
from mtl_jax.core.validation import require
from mtl_jax.data.files.class_folders import NAMES, PARTS, lacking
from mtl_jax.data.files.class_names import warn_of_classes
from mtl_jax.data.files.column_splits import (
    files_of,
    format_of,
    labels_of,
    laid_together,
    part_rows,
    require_columns,
    require_format,
    stamps,
)
from mtl_jax.data.files.columns import Columns, coded, fault, read_columns
from mtl_jax.data.files.data_warning import tell
from mtl_jax.data.files.decode_image import require_size
from mtl_jax.data.files.duplicates import warn_of_repeats
from mtl_jax.data.files.image_files import read_all
from mtl_jax.data.files.named_images import named_images
from mtl_jax.data.labels import has_label
from mtl_jax.data.random_split import generator, stratified

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json")


@dataclasses.dataclass(frozen=True)
class ImageTable:
    """Images named in a column of a table: "image" uint8 `[N, H, W, 3]`, and labels `[N]`.

    `path` is a file, as `Texts` reads it, or a folder with a file for each part. Of one file, the
    column `split` says of which part a row is (train, validation or test, also as `Folder` has
    them; if no row is of validation, that is drawn from train); without it the parts are drawn at
    random, in every class of the first of `labels` alike. A row without any label is not drawn but
    stays in train.

    A row names its image by the path from `folder`, or by its file's name alone if only one file
    below has it; the suffix may be left out. Images are read as by `Folder`. Labels are as those of
    `Table`: classes, int32 and -1 where missing (`classes` tells them), or numbers, float32 and NaN
    where missing.

    Attributes:
      path: of the file or the folder.
      folder: of the images; None is where the file is.
      file: the column of the images' names.
      labels: columns of classes, names or whole numbers; () if all labels are numbers.
      numbers: columns of labels that are numbers.
      split: the column of the parts' names, or None.
      size: height and width that images are resized to, bilinearly.
      validation: share of the validation part, if it is drawn.
      test: share of the test part, if it is drawn.
      seed: of the drawing.
      delimiter: as of `Texts`, and so are the next four.
      decimal: "," if numbers are written so.
      comment: what begins lines that are left out.
      missing: further marks of a missing label.
      not_missing: marks that are names of classes here.

    Raises:
      BadInput: for a setting of the wrong kind, no label, a column named twice, shares outside
        (0, 1) or that leave nothing to train on, or a negative seed; from `load`, `shapes`, `known`
        and `classes` as `Table` for what is wrong with a file, a row without a name or, with
        `split`, of no part, or a part without rows; and from `load`, with how many there are, for
        rows whose image is not there or is one of several, and for an image that cannot be read.

    Warns:
      DataWarning: from `load`, in a line each: images without a row, rows that name one image,
        classes that a part lacks, files whose very bytes stand in two parts, and as `Folder` and `Texts`.
    """

    path: str
    folder: str | None = None
    file: str = "file"
    labels: tuple[str, ...] = ("label",)
    numbers: tuple[str, ...] = ()
    split: str | None = None
    size: tuple[int, int] = (32, 32)
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0
    delimiter: str | None = None
    decimal: Literal[","] | None = None
    comment: str | None = None
    missing: tuple[str, ...] = ()
    not_missing: tuple[str, ...] = ()

    def __post_init__(self):
        fine = self.folder is None or isinstance(self.folder, str)
        require(fine, self, "folder", "must be a string or None", self.folder)
        require(isinstance(self.file, str), self, "file", "must be a string", self.file)
        fine = self.split is None or isinstance(self.split, str)
        require(fine, self, "split", "must be a string or None", self.split)
        require_size(self)
        require_columns(self, **self.fields())
        require_format(self)

    def fields(self) -> dict[str, tuple[str, ...]]:
        """The fields that name columns."""
        split = () if self.split is None else (self.split,)
        return {
            "file": (self.file,),
            "labels": self.labels,
            "numbers": self.numbers,
            "split": split,
        }

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; no image is read or looked for."""
        told = labels_of_train(self, stamps(files_of(self, SUFFIXES)))
        count = len(next(iter(told.values())))
        image = jax.ShapeDtypeStruct((count, *self.size, 3), np.uint8)
        shapes = {name: jax.ShapeDtypeStruct(each.shape, each.dtype) for name, each in told.items()}
        return {"image": image, **shapes}

    def known(self) -> int:
        """How many training images have a label."""
        return int(any_label(labels_of_train(self, stamps(files_of(self, SUFFIXES)))).sum())

    def classes(self) -> dict[str, tuple[str, ...] | tuple[int, ...]]:
        """The classes of each column of `labels`, in the order of their places."""
        columns, _, _ = self.read()
        return {name: coded(columns, name)[1] for name in self.labels}

    def read(self) -> tuple[Columns, dict[str, np.ndarray], list[np.ndarray]]:
        """The columns of all files, their labels, and which rows each part has."""
        wanted = [name for names in self.fields().values() for name in names]
        format = format_of(self)
        parts = [read_columns(file, wanted, format) for file in files_of(self, SUFFIXES)]
        columns = laid_together(self, parts, **self.fields())
        labels = labels_of(self, columns)
        return columns, labels, rows_of(self, parts, columns, labels)

    def load(self) -> Splits:
        """Reads the table and the images."""
        columns, labels, rows = self.read()
        warn_of_classes(self, columns, self.labels)
        images = named_images(self, columns)
        parts, hashes = {}, {}
        for part, each in zip(PARTS, rows, strict=True):
            pixels, hashes[part] = read_all(self, [images[row] for row in each], self.size)
            parts[part] = {"image": pixels, **{name: whole[each] for name, whole in labels.items()}}
        for name in self.labels:
            known = coded(columns, name)[1]
            for note in filter(None, (lacking(part, parts[part][name], known) for part in PARTS)):
                tell(self, f"{note}, of {name!r}")
        given = self.split is not None or len({file for file, _ in columns.places}) > 1
        warn_of_repeats(self, "bytes", hashes, given, "file")
        return Splits(**parts)


@functools.lru_cache(maxsize=64)
def labels_of_train(source: ImageTable, stamps: tuple) -> dict[str, np.ndarray]:
    """Labels of a table's training part, as its files are by their stamps."""
    _, labels, rows = source.read()
    return {name: array[rows[0]] for name, array in labels.items()}


def any_label(labels: dict[str, np.ndarray]) -> np.ndarray:
    """Which rows have a label of any task, bool `[N]`."""
    return np.any([has_label(array) for array in labels.values()], 0)


def rows_of(
    source: ImageTable, parts: list[Columns], columns: Columns, labels: dict[str, np.ndarray]
) -> list[np.ndarray]:
    """Places of the rows of train, validation and test, among those laid together.

    Raises:
      BadInput: if a part is empty, or a row is of no part.
    """
    if source.split is None and len(parts) > 1:
        return part_rows(source, parts, labels)
    given = {} if source.split is None else given_rows(source, columns)
    rows = given.get("train", np.arange(len(columns.places)))
    if "validation" not in given:
        known = any_label(labels)[rows]
        first = (
            labels[source.labels[0]] if source.labels else np.zeros(len(columns.places), np.int32)
        )
        test = 0.0 if "test" in given else source.test
        rng = generator(source.seed, "columns")
        drawn = stratified(first[rows[known]], source.validation, test, rng)
        train, *others = (rows[known][each] for each in drawn)
        made = [np.sort(np.concatenate([train, rows[~known]])), *others]
        given = {**dict(zip(PARTS, made, strict=True)), **given, "train": made[0]}
    for part in PARTS:
        require(len(given[part]) > 0, source, "path", f"must have rows for {part}", source.path)
    return [given[part] for part in PARTS]


def given_rows(source: ImageTable, columns: Columns) -> dict[str, np.ndarray]:
    """Places of the rows of each part that the column `split` names."""
    parts = [NAMES.get(cell.lower()) for cell in columns.cells[source.split]]
    if None in parts:
        rule = "must name train, validation or test"
        raise fault(columns, source.split, parts.index(None), rule)
    there = sorted({*parts})
    rule = "must have rows of train and of test in its column"
    require({"train", "test"} <= {*there}, source, "split", rule, there)
    return {part: np.flatnonzero(np.array(parts) == part) for part in there}
