"""Finding and reading of image files in a folder."""

import collections
import hashlib
import io
import pathlib
import unicodedata
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.data_warning import warn_of
from mtl_jax.data.files.decode_image import decode_image, suffixes

# Files that systems and tools create, in lower case; hidden files are also ignored.
LEFT = {"__macosx", "__pycache__", "@eadir", "thumbs.db", "desktop.ini", "icon\r"}


class ImageFinder:
    """Finds image files, and counts ignored files.

    Attributes:
      suffixes: suffixes of image files, in lower case.
      passed: number of ignored files, by suffix or by the problem with a link.
    """

    def __init__(self):
        self.suffixes = suffixes()
        self.passed = collections.Counter()

    def below(self, folder: pathlib.Path) -> list[pathlib.Path]:
        """Image files in a folder and its subfolders, sorted by path."""
        files = [file for file in walk(folder, (), self.passed) if self.is_image(file)]
        inside = len(folder.parts)
        return sorted(files, key=lambda file: [normal(name) for name in file.parts[inside:]])

    def directly(self, folder: pathlib.Path) -> list[pathlib.Path]:
        """Image files directly in a folder; other files are not counted."""
        return [f for f in entries(folder) if f.is_file() and f.suffix.lower() in self.suffixes]

    def is_image(self, file: pathlib.Path) -> bool:
        """Whether a file has the suffix of an image; others are counted."""
        kind = file.suffix.lower() or "without suffix"
        kind = kind if file.is_file() else "broken link"
        fine = kind in self.suffixes
        self.passed[kind] += not fine
        return fine

    def notes(self) -> list[str]:
        """Messages about ignored files, in one line."""
        kinds = [f"{count} {kind}" for kind, count in self.passed.most_common() if count]
        return [f"files that are no images are passed over: {', '.join(kinds)}"] if kinds else []


def walk(
    folder: pathlib.Path, above: tuple[pathlib.Path, ...], passed: collections.Counter
) -> Iterator[pathlib.Path]:
    """Files in a folder at any depth; cyclic links are counted but not followed."""
    above = (*above, folder.resolve())
    for entry in entries(folder):
        if not entry.is_dir():
            yield entry
        elif entry.is_symlink() and any(one.is_relative_to(entry.resolve()) for one in above):
            passed["looping link"] += 1
        else:
            yield from walk(entry, above, passed)


def entries(folder: pathlib.Path) -> list[pathlib.Path]:
    """Entries of a folder, sorted by name, without system files.

    Raises:
      BadInput: if the folder cannot be read.
    """
    try:
        found = [one for one in folder.iterdir() if one.name[0] != "."]
    except OSError as error:
        raise BadInput(f"{folder} cannot be read: {error}") from error
    return sorted((f for f in found if f.name.lower() not in LEFT), key=lambda f: normal(f.name))


def subfolders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Subfolders of a folder, sorted by name, without cyclic links."""
    here = folder.resolve()
    return [f for f in entries(folder) if f.is_dir() and not here.is_relative_to(f.resolve())]


def normal(name: str) -> str:
    """A name in Unicode normalization form C: macOS and Linux encode accents differently."""
    return unicodedata.normalize("NFC", name)


def read_all(
    source: object, files: Sequence[pathlib.Path], size: tuple[int, int]
) -> tuple[np.ndarray, list[bytes]]:
    """Reads image files of a source, uint8 `[N, *size, 3]`, and hashes their bytes.

    Raises:
      BadInput: naming the file, if it cannot be read, see `decode_image`; if out of memory.

    Warns:
      DataWarning: once for each kind of Pillow warning, such as very many pixels, with the number
        of files and the first one.
    """
    try:
        images = np.empty((len(files), *size, 3), np.uint8)
    except (MemoryError, ValueError) as error:
        rule = f"{len(files)} images of size {size} must fit in memory"
        raise BadInput(f"{type(source).__name__}: {rule}: {error}") from error
    hashes, told = [], collections.defaultdict(list)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for image, file in zip(images, files, strict=True):
            content = content_of(file)
            hashes.append(hashlib.sha256(content).digest())
            image[...] = decode_image(io.BytesIO(content), 3, size, str(file))
            for one in caught:
                told[one.category].append(f"{file} ({one.message})")
            caught.clear()
    for lines in told.values():
        warn_of(source, f"{len(lines)} images should be looked at, the first is {lines[0]}")
    return images, hashes


def content_of(file: pathlib.Path) -> bytes:
    """The bytes of a file."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file} cannot be read as an image: {error}") from error
