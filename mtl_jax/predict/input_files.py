"""Inputs of an exported model from files: images, tables, texts and arrays."""

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput, did_you_mean
from mtl_jax.data.files.columns import Columns, Format, read_columns
from mtl_jax.data.files.decode_image import MODES, decode_image, suffixes
from mtl_jax.data.files.resample import resize
from mtl_jax.data.files.wordpiece import WordPiece
from mtl_jax.predict.description import INPUTS, VOCABULARY, InputSpec
from mtl_jax.predict.features import encode_columns, read_vectors

BATCH_SIZE = 256  # Inputs that are in memory at a time.
TABLES = (".csv", ".tsv", ".jsonl", ".json")
FILE = "file"  # Column that names images.


class Batch(NamedTuple):
    """Some inputs with their names."""

    names: list[str]  # path of an image relative to the folder or table, else the row from 1
    inputs: dict[str, np.ndarray]


def read_batches(path: pathlib.Path, spec: InputSpec, folder: pathlib.Path) -> Iterator[Batch]:
    """Inputs of a model in a file or folder, in batches.

    | model reads | from                                                                       |
    |-------------|----------------------------------------------------------------------------|
    | images      | an image, a folder of images, or a table with their paths in column `file` |
    | vectors     | a table with the columns of the training data, or else D columns in order  |
    | texts       | a table with the column of texts                                           |
    | any         | `.npz` with the arrays by name, or `.npy` of the only one                  |

    A table is `.csv`, `.tsv`, `.jsonl` or `.json`.

    Args:
      path: the file or folder.
      spec: what the model reads.
      folder: the folder of the model, which has the vocabulary of a tokenizer.

    Raises:
      BadInput: for a path that does not exist, has no inputs of this kind, or cannot be read.
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise BadInput(f"there is no {path}")
    if suffix in (".npz", ".npy"):
        yield from split_batches(read_arrays(path, spec))
    elif path.is_dir() or (spec.kind == "image" and suffix in suffixes()):
        yield from image_batches(*images_in(path, spec), spec)
    elif suffix not in TABLES:
        raise BadInput(f"{path} must be {describe_files(spec)}")
    elif spec.kind == "image":
        yield from image_batches(*images_of_table(path), spec)
    else:
        yield from split_batches({INPUTS: read_table(path, spec, folder)})


def describe_files(spec: InputSpec) -> str:
    """Describes the files that a model reads."""
    text = spec.tokenizer is not None
    kinds = {
        "image": "an image, a folder of images, a table with their paths, .npz or .npy",
        "vector": f"one of {', '.join((*TABLES, '.npz', '.npy'))}",
        "series": ".npz or .npy with the series",
        "tokens": f"one of {', '.join((*TABLES, '.npz', '.npy'))}" if text else ".npz of tokens",
        "arrays": ".npz with the arrays by name",
    }
    return kinds[spec.kind]


def split_batches(inputs: dict[str, np.ndarray]) -> Iterator[Batch]:
    """Inputs in batches, named by their rows."""
    count = len(next(iter(inputs.values())))
    for first in range(0, count, BATCH_SIZE):
        rows = slice(first, first + BATCH_SIZE)
        names = [str(row + 1) for row in range(count)[rows]]
        yield Batch(names, {name: array[rows] for name, array in inputs.items()})


def read_arrays(path: pathlib.Path, spec: InputSpec) -> dict[str, np.ndarray]:
    """The arrays of a `.npz` or `.npy` file.

    Raises:
      BadInput: if it cannot be read, or lacks an array.
    """
    try:
        with open(path, "rb") as file:
            content: Any = np.load(file, allow_pickle=False)
            single = isinstance(content, np.ndarray)
            found = {INPUTS: content} if single else {name: content[name] for name in content.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise BadInput(f"{path} must be whole, of arrays: {error}") from None
    if len(spec.arrays) == len(found) == 1:
        found = dict(zip(spec.arrays, found.values(), strict=True))
    missing = sorted(spec.arrays.keys() - found.keys())
    if missing:
        raise BadInput(f"{path} must hold {missing[0]!r} ({did_you_mean(missing[0], found)})")
    if any(found[name].ndim == 0 or len(found[name]) == 0 for name in spec.arrays):
        raise BadInput(f"{path} must have at least one input")
    return {name: found[name] for name in spec.arrays}


def images_in(path: pathlib.Path, spec: InputSpec) -> tuple[list[str], list[pathlib.Path]]:
    """Names and paths of an image, or of all images below a folder, sorted.

    Raises:
      BadInput: if the model reads no images, or there are none.
    """
    if spec.kind != "image":
        raise BadInput(f"{path} must be {describe_files(spec)}, not a folder")
    if path.is_file():
        return [path.name], [path]
    known = suffixes()
    names = sorted(
        str(file.relative_to(path))
        for file in path.rglob("*")
        if file.suffix.lower() in known and file.is_file() and not file.name.startswith(".")
    )
    if not names:
        raise BadInput(f"{path} must have images ({', '.join(sorted(known)[:12])}, ...)")
    return names, [path / name for name in names]


def images_of_table(path: pathlib.Path) -> tuple[list[str], list[pathlib.Path]]:
    """Names and paths of the images of a table, relative to its folder."""
    names = require_column(read_columns(path), FILE)
    return names, [path.parent / name for name in names]


def image_batches(
    names: Sequence[str], files: Sequence[pathlib.Path], spec: InputSpec
) -> Iterator[Batch]:
    """Decoded images in batches, resized as those of the training data.

    Raises:
      BadInput: for an image that cannot be read, or a model of other channels.
    """
    height, width, channels = spec.arrays[INPUTS].shape
    if channels not in MODES:
        raise BadInput(f"images of {channels} channels must be given as .npz, by {INPUTS!r}")
    sizes = [*((size[0], size[1]) for size in spec.resized_from), (height, width)]
    for first in range(0, len(files), BATCH_SIZE):
        some = slice(first, first + BATCH_SIZE)
        pixels = np.stack([decode_image(file, channels, sizes[0]) for file in files[some]])
        for size in sizes[1:]:
            pixels = resize(pixels, size)
        yield Batch(list(names[some]), {INPUTS: pixels})


def read_table(path: pathlib.Path, spec: InputSpec, folder: pathlib.Path) -> np.ndarray:
    """The features or tokens `[N, D]` of a table.

    Raises:
      BadInput: for a missing column or a cell that cannot be read, or if the model reads neither.
    """
    if spec.kind not in ("vector", "tokens") or (spec.kind == "tokens" and spec.text is None):
        raise BadInput(f"{path} must be {describe_files(spec)}")
    cells: dict[str, Any] = dict(spec.cells or {})
    if cells:
        cells["missing"] = tuple(cells["missing"])
    format = Format(**cells)
    columns = read_columns(path, None if spec.text is None else (spec.text,), format)
    if spec.text is not None and spec.tokenizer is not None:
        tokenizer = WordPiece(str(folder / VOCABULARY), **vars(spec.tokenizer))
        return tokenizer(require_column(columns, spec.text))
    if spec.columns is None:
        return read_vectors(columns, spec.arrays[INPUTS].shape[0])
    return encode_columns(columns, spec.columns)


def require_column(columns: Columns, name: str) -> list[str]:
    """The cells of a column.

    Raises:
      BadInput: if there is no such column.
    """
    if name not in columns.cells:
        hint = did_you_mean(name, columns.cells)
        raise BadInput(f"{columns.locations[0][0]} must have the column {name!r} ({hint})")
    return columns.cells[name]
