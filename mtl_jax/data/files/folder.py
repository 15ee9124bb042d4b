"""A source of image files that lie in one folder for each class."""

import dataclasses

import jax
import numpy as np

from mtl_jax.core.protocols import Splits
from mtl_jax.core.validation import require
from mtl_jax.data.files.class_folders import layout
from mtl_jax.data.files.data_warning import tell
from mtl_jax.data.files.decode_image import read, require_size  # noqa: F401, `read` for a single image
from mtl_jax.data.files.duplicates import warn_of_repeats
from mtl_jax.data.files.image_files import read_all
from mtl_jax.data.random_split import require_dealt


@dataclasses.dataclass(frozen=True)
class Folder:
    """Images in class folders, `path/<class>/...`, all brought to one size.

    The label "label" is the place of the class folder's name among all of train, sorted as strings,
    so "10" is before "2" (`classes` tells them); names that differ only in how Unicode writes an
    accent are one. Images may lie in further folders below. If `path` has the folders `train` and
    `test` (or `training`, `testing`), these are the parts, each with class folders; so is
    `validation` (or `val`, `valid`, `dev`), which else is drawn from train. Capitals do not matter.
    Otherwise the parts are drawn at random. What is drawn is so in every class alike.

    A folder `unlabelled` (or `unlabeled`) beside the parts, in train, or beside the classes has
    images that train without a label, -1, wherever they lie below it; a run then takes those of
    train, with a label or without, for its unlabelled examples.

    Files are read as images by their suffix, if Pillow reads it. An image stands as its EXIF
    orientation says, its transparent pixels are white, of 16 bits the upper 8 are taken, and of an
    animation or of several pages the first. Hidden files and what systems leave behind do not
    count; links that loop are not followed.

    Attributes:
      path: the folder.
      size: height and width that images are resized to, bilinearly.
      validation: share of the validation part, if it is drawn.
      test: share of the test part, if it is drawn.
      seed: of the drawing.

    Raises:
      BadInput: for a size below 1, shares outside (0, 1) or that leave nothing to train on,
        or a negative seed; and from `load`, `shapes`, `known` and `classes` for a folder that is
        not there, has fewer than two classes or two that differ in case only, a class of train
        without images, a class that train has not, folders of parts without train or test or
        several of one part, or leaves a part empty; and from `load` for an image that cannot be
        read, or holds floats or integers of 32 bits, and for a given part that is in another.

    Warns:
      DataWarning: from `load`, in a line each: what is passed over, how many files and of which
        suffixes, images in no class folder, other folders; classes that a part lacks; an
        "unlabelled" among classes; files whose very bytes stand in two parts; images of very many
        pixels, or of 16 bits that are nearly black.
    """

    path: str
    size: tuple[int, int] = (32, 32)
    validation: float = 0.1
    test: float = 0.1
    seed: int = 0

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)
        require_size(self)
        require_dealt(self)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; files are counted, not read."""
        found = layout(self)
        count = len(found.parts["train"]) + len(found.unlabelled)
        return {
            "image": jax.ShapeDtypeStruct((count, *self.size, 3), np.uint8),
            "label": jax.ShapeDtypeStruct((count,), np.int32),
        }

    def known(self) -> int:
        """How many training images have a label; files are counted, not read."""
        return len(layout(self).parts["train"])

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of "label", in the order of their places."""
        return {"label": layout(self).classes}

    def load(self) -> Splits:
        """Reads the images: "image" uint8 `[N, H, W, 3]` and "label" int32 `[N]`."""
        found = layout(self)
        for note in found.notes:
            tell(self, note)
        train = [*found.parts["train"], *found.unlabelled]
        parts, hashes = {}, {}
        for name, part in {**found.parts, "train": train}.items():
            images, hashes[name] = read_all(self, [file for file, _ in part], self.size)
            parts[name] = {"image": images, "label": np.array([n for _, n in part], np.int32)}
        known = len(found.parts["train"])
        unlabelled, hashes["train"] = hashes["train"][known:], hashes["train"][:known]
        warn_of_repeats(self, "bytes", hashes, found.given, "file")
        for name in ("validation", "test"):  # Some give these without their labels on purpose.
            pair = {"unlabelled": unlabelled, name: hashes[name]}
            warn_of_repeats(self, "bytes", pair, given=False, unit="file")
        return Splits(**parts)
