"""A data source for image files in one folder per class."""

import dataclasses

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import require
from mtl_jax.data.files.class_folders import LabelledFiles, Layout, read_layout
from mtl_jax.data.files.data_warning import warn_of
from mtl_jax.data.files.decode_image import read_image, require_size  # noqa: F401, `read_image` for a single image
from mtl_jax.data.files.duplicates import warn_of_repeats
from mtl_jax.data.files.file_rows import image_rows
from mtl_jax.data.files.image_files import read_all
from mtl_jax.data.random_split import require_split


@dataclasses.dataclass(frozen=True)
class Folder(DataSource):
    """Images in class folders, `path/<class>/...`, resized to one size.

    "label" is the index of the class folder's name among those of train, sorted as strings, so
    that "10" precedes "2" (see `classes`); names that differ only in the Unicode form of an accent
    are the same. Images may be in nested subfolders. If `path` has the folders `train` and `test`
    (or `training`, `testing`), these are the parts, each with class folders; so is `validation` (or
    `val`, `valid`, `dev`), which is otherwise sampled from train. Names of parts are
    case-insensitive. Without such folders, the split is random. Random splits are stratified by
    class.

    A folder `unlabelled` (or `unlabeled`) next to the parts, in train, or next to the classes
    contains unlabelled training images, with label -1, at any depth; a run then uses all images of
    train, labelled or not, as its unlabelled examples.

    Files are recognised as images by their suffix, if Pillow supports it. EXIF orientation is
    applied, transparent pixels become white, 16-bit images are reduced to their upper 8 bits, and
    the first frame or page of an animation or multi-page file is used. Hidden files and system
    files are ignored; cyclic links are not followed.

    Attributes:
      path: path of the folder.
      size: height and width that images are resized to, bilinearly.
      validation: fraction of the validation part of a random split.
      test: fraction of the test part of a random split.
      seed: seed of the random split.

    Raises:
      BadInput: for a size below 1, fractions outside (0, 1) or that leave no training part, or a
        negative seed; and from `load`, `shapes`, `num_labelled` and `classes` for a folder that
        does not exist, has fewer than two classes or two that differ only in case, a class of train
        without images, a class that is not in train, folders of parts without train or test or
        several for one part, or leaves a part empty; and from `load` for an image that cannot be
        read, or contains floats or 32-bit integers, and for a given part contained in another.

    Warns:
      DataWarning: from `load`, one line each: ignored files by count and suffix, images outside
        class folders, other folders; classes that a part lacks; a class "unlabelled"; identical
        files in two parts; images of very many pixels, or of 16 bits that are nearly black.

    Example:
      >>> from mtl_jax import data
      >>> data.Folder("photos", size=(64, 64))
      Folder(path='photos', size=(64, 64), validation=0.1, test=0.1, seed=0)
    """

    path: str
    size: tuple[int, int] = (32, 32)
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)
        require_size(self)
        require_split(self)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; files are counted, not read."""
        layout = read_layout(self)
        count = len(layout.parts["train"]) + len(layout.unlabelled)
        return {
            "inputs": jax.ShapeDtypeStruct((count, *self.size, 3), np.uint8),
            "label": jax.ShapeDtypeStruct((count,), np.int32),
        }

    def num_labelled(self) -> int:
        """Number of labelled training images; files are counted, not read."""
        return len(read_layout(self).parts["train"])

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of "label", in the order of their integers."""
        return {"label": read_layout(self).classes}

    def open_splits(self) -> Splits:
        """The same as `load` with images that are read when needed; files are not compared."""
        layout = self.layout()
        return Splits(
            **{
                name: {"inputs": image_rows([file for file, _ in part], self.size)}
                | labels_of(part)
                for name, part in with_unlabelled(layout).items()
            }
        )

    def layout(self) -> Layout:
        """The files of all parts."""
        layout = read_layout(self)
        for note in layout.notes:
            warn_of(self, note)
        return layout

    def load(self) -> Splits:
        """Reads the images: "inputs" uint8 `[N, H, W, 3]` and "label" int32 `[N]`."""
        layout = self.layout()
        parts, hashes = {}, {}
        for name, part in with_unlabelled(layout).items():
            images, hashes[name] = read_all(self, [file for file, _ in part], self.size)
            parts[name] = {"inputs": images} | labels_of(part)
        num_labelled = len(layout.parts["train"])
        unlabelled, hashes["train"] = hashes["train"][num_labelled:], hashes["train"][:num_labelled]
        warn_of_repeats(self, "bytes", hashes, layout.has_parts, "file")
        for name in ("validation", "test"):  # Some deliberately include these as unlabelled.
            pair = {"unlabelled": unlabelled, name: hashes[name]}
            warn_of_repeats(self, "bytes", pair, user_split=False, unit="file")
        return Splits(**parts)


def with_unlabelled(layout: Layout) -> dict[str, LabelledFiles]:
    """The files of each part with their labels; of train the unlabelled ones too."""
    return {**layout.parts, "train": [*layout.parts["train"], *layout.unlabelled]}


def labels_of(files: LabelledFiles) -> dict[str, np.ndarray]:
    """The labels of files, int32 `[N]`."""
    return {"label": np.array([label for _, label in files], np.int32)}
