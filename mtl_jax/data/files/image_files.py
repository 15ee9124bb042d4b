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
from mtl_jax.data.files.data_warning import HasPath, warn_of
from mtl_jax.data.files.decode_image import decode_image, suffixes

# Files that systems and tools create, in lower case; hidden files are also ignored.
SYSTEM_FILES = {"__macosx", "__pycache__", "@eadir", "thumbs.db", "desktop.ini", "icon\r"}


class ImageFinder:
    """Finds image files, and counts ignored files.

    Attributes:
      suffixes: suffixes of image files, in lower case.
      ignored: number of ignored files, by suffix or by the problem with a link.
    """

    def __init__(self):
        self.suffixes = suffixes()
        self.ignored = collections.Counter()

    def find_recursive(self, folder: pathlib.Path) -> list[pathlib.Path]:
        """Image files in a folder and its subfolders, sorted by path."""
        files = [file for file in walk(folder, (), self.ignored) if self.is_image(file)]
        depth = len(folder.parts)
        return sorted(files, key=lambda file: [normalize(name) for name in file.parts[depth:]])

    def find_direct(self, folder: pathlib.Path) -> list[pathlib.Path]:
        """Image files directly in a folder; other files are not counted."""
        return [f for f in entries(folder) if f.is_file() and f.suffix.lower() in self.suffixes]

    def is_image(self, file: pathlib.Path) -> bool:
        """Whether a file has the suffix of an image; others are counted."""
        kind = file.suffix.lower() or "without suffix"
        kind = kind if file.is_file() else "broken link"
        is_image = kind in self.suffixes
        self.ignored[kind] += not is_image
        return is_image

    def notes(self) -> list[str]:
        """Messages about ignored files, in one line."""
        kinds = [f"{count} {kind}" for kind, count in self.ignored.most_common() if count]
        return [f"files that are no images are ignored: {', '.join(kinds)}"] if kinds else []


def walk(
    folder: pathlib.Path, parents: tuple[pathlib.Path, ...], ignored: collections.Counter
) -> Iterator[pathlib.Path]:
    """Files in a folder at any depth; cyclic links are counted but not followed."""
    parents = (*parents, folder.resolve())
    for entry in entries(folder):
        if not entry.is_dir():
            yield entry
        elif entry.is_symlink() and any(
            parent.is_relative_to(entry.resolve()) for parent in parents
        ):
            ignored["cyclic link"] += 1
        else:
            yield from walk(entry, parents, ignored)


def entries(folder: pathlib.Path) -> list[pathlib.Path]:
    """Entries of a folder, sorted by name, without system files.

    Raises:
      BadInput: if the folder cannot be read.
    """
    try:
        visible = [entry for entry in folder.iterdir() if entry.name[0] != "."]
    except OSError as error:
        raise BadInput(f"{folder} cannot be read: {error}") from error
    return sorted(
        (f for f in visible if f.name.lower() not in SYSTEM_FILES), key=lambda f: normalize(f.name)
    )


def subfolders(folder: pathlib.Path) -> list[pathlib.Path]:
    """Subfolders of a folder, sorted by name, without cyclic links."""
    path = folder.resolve()
    return [f for f in entries(folder) if f.is_dir() and not path.is_relative_to(f.resolve())]


def normalize(name: str) -> str:
    """A name in Unicode normalization form C: macOS and Linux encode accents differently."""
    return unicodedata.normalize("NFC", name)


def read_all(
    source: HasPath, files: Sequence[pathlib.Path], size: tuple[int, int]
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
    hashes, messages = [], collections.defaultdict(list)
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        for image, file in zip(images, files, strict=True):
            content = content_of(file)
            hashes.append(hashlib.sha256(content).digest())
            image[...] = decode_image(io.BytesIO(content), 3, size, str(file))
            for record in records:
                messages[record.category].append(f"{file} ({record.message})")
            records.clear()
    for lines in messages.values():
        warn_of(source, f"{len(lines)} images should be looked at, the first is {lines[0]}")
    return images, hashes


def content_of(file: pathlib.Path) -> bytes:
    """The bytes of a file."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadInput(f"{file} cannot be read as an image: {error}") from error
