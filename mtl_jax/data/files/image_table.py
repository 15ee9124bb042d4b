"""A data source for image files whose labels are in a table."""

import dataclasses
import functools
from typing import Literal

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import require
from mtl_jax.data.files.class_folders import NAMES, PARTS, missing_classes_note
from mtl_jax.data.files.class_names import warn_of_classes
from mtl_jax.data.files.column_splits import (
    ColumnSplits,
    concatenate_columns,
    files_of,
    format_of,
    labels_of,
    part_rows,
    require_columns,
    require_format,
    stamps,
)
from mtl_jax.data.files.columns import Columns, Names, cell_error, encode_categories, read_columns
from mtl_jax.data.files.data_warning import warn_of
from mtl_jax.data.files.decode_image import require_size
from mtl_jax.data.files.duplicates import warn_of_repeats
from mtl_jax.data.files.file_rows import image_rows
from mtl_jax.data.files.image_files import read_all
from mtl_jax.data.files.named_images import named_images
from mtl_jax.data.labels import has_label
from mtl_jax.data.random_split import generator, stratified_split

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json")


@dataclasses.dataclass(frozen=True)
class ImageTable(DataSource):
    """Images named by a column of a table: "inputs" uint8 `[N, H, W, 3]`, and labels `[N]`.

    `path` is either a file in a format of `Texts`, or a folder with one file per part. For a single
    file, the column `split` specifies the part of each row (train, validation or test, or the
    synonyms of `Folder`; if no row is in validation, it is sampled from train); without `split`,
    the split is random, stratified by the first of `labels`. A row without any label is not sampled
    and remains in train.

    A row names its image by its path relative to `folder`, or by the file name alone if it is
    unique; the suffix may be omitted. Images are read as by `Folder`. Labels are as in `Table`:
    classes, int32 and -1 where missing (see `classes`), or continuous targets, float32 and NaN
    where missing.

    Attributes:
      path: path of the file or the folder.
      folder: folder of the images; None is the folder of the table.
      file: column of the images' names.
      labels: columns of classes, strings or integers; () if all labels are continuous.
      numbers: columns of continuous targets.
      split: column of the parts' names, or None.
      size: height and width that images are resized to, bilinearly.
      validation: fraction of the validation part of a random split.
      test: fraction of the test part of a random split.
      seed: seed of the random split.
      delimiter: as in `Texts`, like the next four.
      decimal: "," if it is the decimal mark.
      comment: prefix of lines to omit.
      missing: additional markers of missing labels.
      not_missing: markers that are class names here.

    Raises:
      BadInput: for a setting of the wrong type, no label, a column named twice, fractions outside
        (0, 1) or that leave no training part, or a negative seed; from `load`, `shapes`,
        `num_labelled` and `classes` as in `Table` for an invalid file, a row without a name or,
        with `split`, without a valid part, or an empty part; and from `load`, with their number,
        for rows whose image does not exist or is ambiguous, and for an image that cannot be read.

    Warns:
      DataWarning: from `load`, one line each: images without a row, rows that name the same image,
        classes that a part lacks, identical files in two parts, and as in `Folder` and `Texts`.

    Example:
      >>> from mtl_jax import data
      >>> source = data.ImageTable("birds.csv", labels=("species",), split="part")
      >>> source.fields()
      {'file': ('file',), 'labels': ('species',), 'numbers': (), 'split': ('part',)}
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
        valid = self.folder is None or isinstance(self.folder, str)
        require(valid, self, "folder", "must be a string or None", self.folder)
        require(isinstance(self.file, str), self, "file", "must be a string", self.file)
        valid = self.split is None or isinstance(self.split, str)
        require(valid, self, "split", "must be a string or None", self.split)
        require_size(self)
        require_columns(self, **self.fields())
        require_format(self)

    def fields(self) -> dict[str, tuple[str, ...]]:
        """Column names by field."""
        split = () if self.split is None else (self.split,)
        return {
            "file": (self.file,),
            "labels": self.labels,
            "numbers": self.numbers,
            "split": split,
        }

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; no image is read or looked up."""
        labels = train_labels(self, stamps(files_of(self, SUFFIXES)))
        count = len(next(iter(labels.values())))
        image = jax.ShapeDtypeStruct((count, *self.size, 3), np.uint8)
        shapes = {
            name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in labels.items()
        }
        return {"inputs": image, **shapes}

    def num_labelled(self) -> int:
        """Number of labelled training images."""
        return int(any_label(train_labels(self, stamps(files_of(self, SUFFIXES)))).sum())

    def classes(self) -> dict[str, Names]:
        """The classes of each column of `labels`, in the order of their integers."""
        columns, _, _ = self.read()
        return {name: encode_categories(columns, name)[1] for name in self.labels}

    def read(self) -> ColumnSplits:
        """The columns of all files, their labels, and the rows of each part."""
        required = [name for names in self.fields().values() for name in names]
        format = format_of(self)
        parts = [read_columns(file, required, format) for file in files_of(self, SUFFIXES)]
        columns = concatenate_columns(self, parts, **self.fields())
        labels = labels_of(self, columns)
        return ColumnSplits(columns, labels, rows_of(self, parts, columns, labels))

    def open_splits(self) -> Splits:
        """The same as `load` with images that are read when needed; files are not compared."""
        columns, labels, rows = self.read()
        images = named_images(self, columns)
        return Splits(
            *(
                {"inputs": image_rows([images[i] for i in indices], self.size)}
                | {name: array[indices] for name, array in labels.items()}
                for indices in rows
            )
        )

    def load(self) -> Splits:
        """Reads the table and the images."""
        columns, labels, rows = self.read()
        warn_of_classes(self, columns, self.labels)
        images = named_images(self, columns)
        parts, hashes = {}, {}
        for part, indices in zip(PARTS, rows, strict=True):
            pixels, hashes[part] = read_all(self, [images[i] for i in indices], self.size)
            part_labels = {name: array[indices] for name, array in labels.items()}
            parts[part] = {"inputs": pixels, **part_labels}
        for name in self.labels:
            classes = encode_categories(columns, name)[1]
            notes = (missing_classes_note(part, parts[part][name], classes) for part in PARTS)
            for note in filter(None, notes):
                warn_of(self, f"{note}, of {name!r}")
        has_parts = self.split is not None or len({file for file, _ in columns.locations}) > 1
        warn_of_repeats(self, "bytes", hashes, has_parts, "file")
        return Splits(**parts)


@functools.lru_cache(maxsize=64)
def train_labels(source: ImageTable, stamps: tuple) -> dict[str, np.ndarray]:
    """Labels of a table's training part, cached by the stamps of its files."""
    _, labels, rows = source.read()
    return {name: array[rows[0]] for name, array in labels.items()}


def any_label(labels: dict[str, np.ndarray]) -> np.ndarray:
    """Mask of the rows with a label of any task, bool `[N]`."""
    return np.any([has_label(array) for array in labels.values()], 0)


def rows_of(
    source: ImageTable, parts: list[Columns], columns: Columns, labels: dict[str, np.ndarray]
) -> list[np.ndarray]:
    """Indices of the rows of train, validation and test, in the concatenated rows.

    Raises:
      BadInput: if a part is empty, or a row belongs to no part.
    """
    if source.split is None and len(parts) > 1:
        return part_rows(source, parts, labels)
    by_part = {} if source.split is None else rows_of_split(source, source.split, columns)
    rows = by_part.get("train", np.arange(len(columns.locations)))
    if "validation" not in by_part:
        labelled = any_label(labels)[rows]
        classes = (
            labels[source.labels[0]]
            if source.labels
            else np.zeros(len(columns.locations), np.int32)
        )
        test = 0.0 if "test" in by_part else source.test
        rng = generator(source.seed, "columns")
        splits = stratified_split(classes[rows[labelled]], source.validation, test, rng)
        train, *others = (rows[labelled][indices] for indices in splits)
        sampled = [np.sort(np.concatenate([train, rows[~labelled]])), *others]
        by_part = {**dict(zip(PARTS, sampled, strict=True)), **by_part, "train": sampled[0]}
    for part in PARTS:
        require(len(by_part[part]) > 0, source, "path", f"must have rows for {part}", source.path)
    return [by_part[part] for part in PARTS]


def rows_of_split(source: ImageTable, column: str, columns: Columns) -> dict[str, np.ndarray]:
    """Indices of the rows of each part that the column `split` names."""
    parts = []
    for row, cell in enumerate(columns.cells[column]):
        if cell.lower() not in NAMES:
            raise cell_error(columns, column, row, "must name train, validation or test")
        parts.append(NAMES[cell.lower()])
    names = sorted({*parts})
    rule = "must have rows of train and of test in its column"
    require({"train", "test"} <= {*names}, source, "split", rule, names)
    return {part: np.flatnonzero(np.array(parts) == part) for part in names}
