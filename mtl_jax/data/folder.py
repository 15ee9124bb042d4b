"""A source of image files that lie in one folder for each class."""

import dataclasses
import pathlib

import jax
import numpy as np

from mtl_jax.checks import BadInput, near, require
from mtl_jax.data.draws import generator, require_dealt, stratified
from mtl_jax.data.paths import path_of
from mtl_jax.data.pictures import decode, require_size
from mtl_jax.protocols import Splits

SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


@dataclasses.dataclass(frozen=True)
class Folder:
    """Images in class folders, `path/<class>/<file>`, all brought to one size.

    The label "label" is the place of the class folder's name among all in sorted order. If
    `path` has the folders `train`, `validation` (or `val`) and `test`, these are the parts,
    each with class folders, and the classes are those of `train`; otherwise the parts are
    drawn at random, in every class alike.

    Attributes:
      path: the folder.
      size: height and width that images are resized to, bilinearly.
      validation: share of the validation part, if parts are drawn.
      test: share of the test part, if parts are drawn.
      seed: of the drawing.

    Raises:
      BadInput: for a size below 1, shares outside (0, 1) or that leave nothing to train on,
        or a negative seed; and from `load` and `shapes` for a folder that is not there, has no classes,
        has an image that cannot be read, or leaves a part empty.
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
        count = len(self.parts()[0])
        return {
            "image": jax.ShapeDtypeStruct((count, *self.size, 3), np.uint8),
            "label": jax.ShapeDtypeStruct((count,), np.int32),
        }

    def load(self) -> Splits:
        """Reads the images: "image" uint8 `[N, H, W, 3]` and "label" int32 `[N]`."""
        return Splits(*(read_part(part, self.size) for part in self.parts()))

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of "label", in the order of their places."""
        root = path_of(self.path)
        require(root.is_dir(), self, "path", "must be a folder", self.path)
        found = {folder.name: folder for folder in subfolders(root)}
        given = self.given_parts(root) is not None
        return {"label": tuple(self.class_names(found["train"] if given else root))}

    def parts(self) -> list[list[tuple[pathlib.Path, int]]]:
        """Files and labels of the three parts."""
        root = path_of(self.path)
        require(root.is_dir(), self, "path", "must be a folder", self.path)
        parts = self.given_parts(root) or self.drawn_parts(root)
        for name, part in zip(Splits._fields, parts, strict=True):
            require(len(part) > 0, self, "path", f"must have images for {name}", self.path)
        return parts

    def given_parts(self, root: pathlib.Path) -> list[list[tuple[pathlib.Path, int]]] | None:
        """Files and labels of the parts that have folders, or None if none have."""
        found = {folder.name: folder for folder in subfolders(root)}
        validation = found.get("validation", found.get("val"))
        parts = [found.get("train"), validation, found.get("test")]
        if parts[0] is None or parts.count(None) == 2:  # A class may be called train.
            return None
        rule = "must have train, validation (or val) and test, if it has two of them"
        require(None not in parts, self, "path", rule, self.path)
        classes = self.class_names(parts[0])
        for folder in (folder for part in parts for folder in subfolders(part)):
            if folder.name not in classes:
                raise BadInput(f"{folder} is no class of train ({near(folder.name, classes)})")
        return [listed(part, classes) for part in parts]

    def drawn_parts(self, root: pathlib.Path) -> list[list[tuple[pathlib.Path, int]]]:
        """Files and labels of parts drawn at random."""
        files = listed(root, self.class_names(root))
        labels = np.array([label for _, label in files], np.int32)
        rng = generator(self.seed, "folder")
        drawn = stratified(labels, self.validation, self.test, rng)
        return [[files[i] for i in index] for index in drawn]

    def class_names(self, root: pathlib.Path) -> list[str]:
        """Names of the class folders, sorted; each must hold an image."""
        names = [folder.name for folder in subfolders(root)]
        require(len(names) > 0, self, "path", "must have class folders", str(root))
        for name in names:
            full = len(pictures(root / name)) > 0
            require(full, self, "path", "must have images in each class", str(root / name))
        return names


def subfolders(root: pathlib.Path) -> list[pathlib.Path]:
    """Folders in a folder by name, without hidden ones."""
    return sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith("."))


def pictures(root: pathlib.Path) -> list[pathlib.Path]:
    """Image files in a folder by name, without hidden ones."""
    files = (f for f in root.iterdir() if f.is_file() and not f.name.startswith("."))
    return sorted(f for f in files if f.suffix.lower() in SUFFIXES)


def listed(root: pathlib.Path, classes: list[str]) -> list[tuple[pathlib.Path, int]]:
    """Every image file below `root`, with its label."""
    return [
        (file, classes.index(folder.name))
        for folder in subfolders(root)
        for file in pictures(folder)
    ]


def read_part(part: list[tuple[pathlib.Path, int]], size: tuple[int, int]):
    """Reads the images of a part."""
    images = np.empty((len(part), *size, 3), np.uint8)
    for image, (file, _) in zip(images, part, strict=True):
        image[...] = read(file, size)
    return {"image": images, "label": np.array([label for _, label in part], np.int32)}


def read(file: pathlib.Path, size: tuple[int, int]) -> np.ndarray:
    """Reads one image, and names it if it cannot be read."""
    try:
        return decode(file, 3, size)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises all three.
        raise BadInput(f"{file} cannot be read as an image: {error}") from error
