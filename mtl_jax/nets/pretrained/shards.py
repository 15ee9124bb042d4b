"""Weights in several files: folders of files, and an index from tensors to files."""

import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

from mtl_jax.core.validation import BadInput, few

INDEX = ".index.json"
DEFAULT_NAMES = ("model.safetensors", "pytorch_model.bin")  # Hugging Face's file names.
PART = re.compile(r"(.*)-0*(\d+)-of-0*(\d+)(\.\w+)")


def find_weights(folder: pathlib.Path, extensions: tuple[str, ...]) -> pathlib.Path:
    """The file of weights in a folder, or the index of several.

    Raises:
      BadInput: if there is none, or several without one of the usual names.
    """
    for name in DEFAULT_NAMES:
        for file in (folder / f"{name}{INDEX}", folder / name):
            if file.is_file():
                return file
    files = sorted(file for file in folder.iterdir() if file.is_file())
    candidates = [file for file in files if file.name.endswith(INDEX)]
    candidates = candidates or [file for file in files if file.name.lower().endswith(extensions)]
    if len(candidates) == 1:
        return candidates[0]
    among = (
        f"which of {few([file.name for file in candidates])}" if candidates else "it has no weights"
    )
    raise BadInput(f"weights {str(folder)!r} must be a file, not a folder ({among})")


def require_complete(file: pathlib.Path) -> None:
    """Refuses one part of several, by its name.

    Raises:
      BadInput: for such a part, with the index if it is in the same folder.
    """
    match = PART.fullmatch(file.name)
    if match is None or int(match[3]) < 2:
        return
    index = file.with_name(f"{match[1]}{match[4]}{INDEX}")
    remedy = f"give {index.name}, which names all" if index.is_file() else f"need {index.name} too"
    raise BadInput(f"weights {str(file)!r} are part {match[2]} of {match[3]}: {remedy}")


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
    owner = f"weights {str(index)!r}"
    try:
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(weight_map.values()))
        are_names = all(pathlib.PurePath(name).name == name for name in names)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        rule = f"must be an index of shards, JSON with a weight_map ({type(error).__name__})"
        raise BadInput(f"{owner} {rule}") from None
    missing = [name for name in names if not are_names or not (index.parent / name).is_file()]
    if missing or not names:
        rule = "must name files beside it"
        raise BadInput(f"{owner} {rule}; missing: {few(missing) or 'all'}")
    content: dict[str, Any] = {}
    for name in names:
        tensors = read(index.parent / name)
        missing = [key for key, place in weight_map.items() if place == name and key not in tensors]
        if missing:
            raise BadInput(f"{owner}: {name} must hold {few(missing)}, as the index says")
        # For tensors in two files, the index determines which one is used.
        content |= {
            key: value for key, value in tensors.items() if weight_map.get(key, name) == name
        }
    return content
