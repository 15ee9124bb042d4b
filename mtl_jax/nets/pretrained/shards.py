"""Weights in several files: folders of files, and an index from tensors to files."""

import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

from mtl_jax.core.validation import BadInput, few

INDEX = ".index.json"
USUAL = ("model.safetensors", "pytorch_model.bin")  # Hugging Face's file names.
PART = re.compile(r"(.*)-0*(\d+)-of-0*(\d+)(\.\w+)")


def in_folder(folder: pathlib.Path, ends: tuple[str, ...]) -> pathlib.Path:
    """The file of weights in a folder, or the index of several.

    Raises:
      BadInput: if there is none, or several without one of the usual names.
    """
    for name in USUAL:
        for file in (folder / f"{name}{INDEX}", folder / name):
            if file.is_file():
                return file
    files = sorted(file for file in folder.iterdir() if file.is_file())
    found = [file for file in files if file.name.endswith(INDEX)]
    found = found or [file for file in files if file.name.lower().endswith(ends)]
    if len(found) == 1:
        return found[0]
    among = f"which of {few([file.name for file in found])}" if found else "it has no weights"
    raise BadInput(f"weights {str(folder)!r} must be a file, not a folder ({among})")


def require_whole(file: pathlib.Path) -> None:
    """Refuses one part of several, by its name.

    Raises:
      BadInput: for such a part, with the index if it is in the same folder.
    """
    hit = PART.fullmatch(file.name)
    if hit is None or int(hit[3]) < 2:
        return
    index = file.with_name(f"{hit[1]}{hit[4]}{INDEX}")
    instead = f"give {index.name}, which names all" if index.is_file() else f"need {index.name} too"
    raise BadInput(f"weights {str(file)!r} are part {hit[2]} of {hit[3]}: {instead}")


def read_shards(
    index: pathlib.Path, read: Callable[[pathlib.Path], dict[str, Any]]
) -> dict[str, Any]:
    """The tensors of all files in an index.

    Args:
      index: JSON with `weight_map`, from names of tensors to names of files in the same folder.
      read: a function that reads a file.

    Raises:
      BadInput: for an invalid index, or if a file or a tensor is missing.
    """
    where = f"weights {str(index)!r}"
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(places.values()))
        plain = all(pathlib.PurePath(name).name == name for name in names)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        rule = f"must be an index of shards, JSON with a weight_map ({type(error).__name__})"
        raise BadInput(f"{where} {rule}") from None
    lost = [name for name in names if not plain or not (index.parent / name).is_file()]
    if lost or not names:
        rule = "must name files beside it"
        raise BadInput(f"{where} {rule}; missing: {few(lost) or 'all'}")
    found: dict[str, Any] = {}
    for name in names:
        tensors = read(index.parent / name)
        absent = [key for key, place in places.items() if place == name and key not in tensors]
        if absent:
            raise BadInput(f"{where}: {name} must hold {few(absent)}, as the index says")
        # For tensors in two files, the index determines which one is used.
        found |= {key: value for key, value in tensors.items() if places.get(key, name) == name}
    return found
