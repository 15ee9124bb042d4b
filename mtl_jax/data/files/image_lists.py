"""A data source for images that text files list with their classes."""

import dataclasses
import pathlib

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.files.decode_image import require_size
from mtl_jax.data.files.duplicates import warn_of_repeats
from mtl_jax.data.files.file_rows import image_rows
from mtl_jax.data.files.image_files import read_all
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.files.text_files import lines_of, read_text

Entry = tuple[pathlib.Path, int]


@dataclasses.dataclass(frozen=True)
class ImageLists(DataSource):
    """Images and classes that lists name: "inputs" uint8 `[N, H, W, 3]`, "label" int32 `[N]`.

    A line is the path of an image, a space and its class, an integer of at least 0: the format of
    the domain adaptation benchmarks. Names of classes are the folders of their images, if each
    class has one folder.

    Office-31 and Office-Home, a domain for each task, with LibMTL's lists
    (https://github.com/median-research-group/LibMTL, `examples/office/data_txt`):

        MultiInput(tuple(
            Input(domain, ImageLists.of_domain("office-31", "data_txt/office-31", domain))
            for domain in ("amazon", "dslr", "webcam")  # Art, Clipart, Product, Real_World
        ))

    Attributes:
      path: folder that paths are relative to.
      lists: files of train, validation and test.
      size: height and width that images are resized to, bilinearly.

    Raises:
      BadInput: for a setting of the wrong type, or two parts with one list; and from `shapes`,
        `classes` and `load`, naming file and line, for a list that does not exist, is empty or
        names an image twice, or a line without path and class; and from `load` for an image that
        does not exist or cannot be read.

    Warns:
      DataWarning: from `load`, for identical images in two parts, and images as in `Folder`.

    Example:
      >>> from mtl_jax import data
      >>> data.ImageLists.of_domain("office-31", "lists", "dslr").lists
      ('lists/dslr_train.txt', 'lists/dslr_val.txt', 'lists/dslr_test.txt')
    """

    path: str
    lists: tuple[str, str, str]
    size: tuple[int, int] = (224, 224)

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)
        valid = isinstance(self.lists, tuple) and len(self.lists) == 3
        valid = valid and all(isinstance(name, str) for name in self.lists)
        valid = valid and len({*self.lists}) == 3
        require(valid, self, "lists", "must be three different files", self.lists)
        require_size(self)

    @classmethod
    def of_domain(
        cls, path: str, lists: str, domain: str, size: tuple[int, int] = (224, 224)
    ) -> "ImageLists":
        """The source of one domain, whose lists are `<domain>_train.txt`, `_val` and `_test`."""
        train, validation, test = (
            f"{lists}/{domain}_{part}.txt" for part in ("train", "val", "test")
        )
        return cls(path, (train, validation, test), size)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; its list is read."""
        count = len(self.read_list(self.lists[0]))
        return {
            "inputs": jax.ShapeDtypeStruct((count, *self.size, 3), np.uint8),
            "label": jax.ShapeDtypeStruct((count,), np.int32),
        }

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes of "label" by the names of their folders; {} if these are no names."""
        entries = {
            (label, file.parent.name) for name in self.lists for file, label in self.read_list(name)
        }
        labels, names = zip(*sorted(entries), strict=True)
        named = labels == tuple(range(len(entries))) and len({*names}) == len(names)
        return {"label": names} if named else {}

    def load(self) -> Splits:
        """Reads the lists and the images."""
        parts, hashes = {}, {}
        for part, name in zip(Splits._fields, self.lists, strict=True):
            files, labels = zip(*self.read_list(name), strict=True)
            pixels, hashes[part] = read_all(self, files, self.size)
            parts[part] = {"inputs": pixels, "label": np.array(labels, np.int32)}
        warn_of_repeats(self, "bytes", hashes, user_split=True, unit="file")
        return Splits(**parts)

    def open_splits(self) -> Splits:
        """The same as `load` with images that are read when needed; files are not compared."""
        parts = {}
        for part, name in zip(Splits._fields, self.lists, strict=True):
            files, labels = zip(*self.read_list(name), strict=True)
            parts[part] = {
                "inputs": image_rows(files, self.size),
                "label": np.array(labels, np.int32),
            }
        return Splits(**parts)

    def read_list(self, name: str) -> list[Entry]:
        """Images and classes of a list."""
        list_file, root = expand_path(name), expand_path(self.path)
        entries: dict[pathlib.Path, int] = {}
        for number, line in enumerate(lines_of(read_text(list_file)), 1):
            if line.strip():
                path, _, label = line.strip().rpartition(" ")
                file = root / path.strip()
                where = f"{list_file}, line {number}"
                if not (path and label.isascii() and label.isdigit()):
                    raise BadInput(f"{where} must be a path and a class, not {line.strip()!r}")
                if file in entries:
                    raise BadInput(f"{where} must not name {path.strip()!r} again")
                entries[file] = int(label)
        if not entries:
            raise BadInput(f"{list_file} must name images, and is empty")
        return list(entries.items())
