"""Images of a folder by name, lists that name them, and the parts of such sources."""

import pathlib
from collections.abc import Mapping
from typing import Protocol

from mtl_jax.core.validation import BadInput, require, require_int, require_number
from mtl_jax.data.files.image_files import ImageFinder, normalize
from mtl_jax.data.files.text_files import lines_of, read_text

ImageIndex = Mapping[str, list[pathlib.Path]]


class HoldsOut(Protocol):
    """A source whose validation part may be held out from train."""

    @property
    def validation(self) -> float:
        """Fraction of train that is held out."""


class HasParts(HoldsOut, Protocol):
    """A source whose parts have names."""

    @property
    def parts(self) -> tuple[str, str | None, str]:
        """Names of train, validation and test."""


def require_parts(source: HasParts) -> None:
    """Checks that `parts` has different names, and the fraction and seed of a held-out part."""
    parts = source.parts
    valid = isinstance(parts, tuple) and len(parts) == 3
    valid = valid and isinstance(parts[1], str | None)
    valid = valid and isinstance(parts[0], str) and isinstance(parts[2], str)
    rule = "must be three different names; that of validation may be None"
    require(valid and len({*parts}) == 3, source, "parts", rule, parts)
    require_held_out(source)


def require_held_out(source: HoldsOut) -> None:
    """Checks a fraction `validation` that is held out from train, and its seed."""
    require_number(source, validation=(0.0, 1.0))
    valid = 0 < source.validation < 1
    require(valid, source, "validation", "must lie between 0 and 1", source.validation)
    require_int(source, seed=0)


def one_file_each(images: ImageIndex) -> None:
    """Requires that no two images have the same name but for the suffix."""
    for files in images.values():
        if len(files) > 1:
            raise BadInput(f"{files[0]} and {files[1]} must not differ in their suffix only")


def index_images(folder: pathlib.Path, ending: str) -> ImageIndex:
    """Images of a folder by their path in it, without suffix and ending."""
    files = {}
    for file in ImageFinder().find_recursive(folder):
        key = normalize(file.relative_to(folder).with_suffix("").as_posix())
        if key.endswith(ending):
            files.setdefault(key.removesuffix(ending), []).append(file)
    return files


def listed_images(file: pathlib.Path, images: ImageIndex, ending: str) -> list[str]:
    """Keys of the images that the lines of a list name, with or without suffix."""
    keys = []
    for number, line in enumerate(lines_of(read_text(file)), 1):
        name = normalize(line.strip())
        names = (name, name.rpartition(".")[0])
        found = [key for key in (n.removesuffix(ending) for n in names) if key in images]
        if name and not found:
            raise BadInput(f"{file}, line {number} must name an image, not {line.strip()!r}")
        keys += found[:1]
    if len({*keys}) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise BadInput(f"{file} must name each image once, not {twice!r} again")
    return keys
