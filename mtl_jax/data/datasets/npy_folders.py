"""Dense benchmarks as folders of numbered `.npy` files, one for each image and label."""

import functools
import pathlib
import threading
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from mtl_jax.core.data_source import Splits
from mtl_jax.core.validation import BadInput, require, require_choice, require_int, require_number
from mtl_jax.data.files.file_rows import FileRows
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.random_split import hold_out

PARTS = ("train", "val")
PARSER = threading.Lock()  # The parser of headers fails in threads of Python 3.11.
NpySource = Any  # `NYUv2` or `Cityscapes`.


class NpyLabel(NamedTuple):
    """A label of every pixel, in a folder of its own."""

    name: str
    folder: str
    classes: int = 0  # number of classes; 0 for numbers
    channels: int = 1  # of numbers


def check_settings(source: NpySource) -> None:
    """Checks the settings that the benchmarks share."""
    require(isinstance(source.path, str), source, "path", "must be a string", source.path)
    if source.validation is not None:
        require_number(source, validation=(0.0, 1.0))
        valid = 0 < source.validation < 1
        require(valid, source, "validation", "must lie between 0 and 1", source.validation)
    require_choice(source, dtype=("uint8", "float32"))
    require_int(source, seed=0)


def benchmark_shapes(source: NpySource, labels: tuple[NpyLabel, ...]) -> dict[str, Any]:
    """Shapes and types of the training part; reads one header."""
    folder = part_folder(source, "train")
    size = image_size(folder / "image" / "0.npy")
    count = len(train_rows(source, count_files(folder, labels))[0])
    shapes = {"inputs": jax.ShapeDtypeStruct((count, *size, 3), np.dtype(source.dtype))}
    for label in labels:
        shape = (count, *size) if label.classes else (count, *size, label.channels)
        dtype = np.int32 if label.classes else np.float32
        shapes[label.name] = jax.ShapeDtypeStruct(shape, dtype)
    return shapes


def load_benchmark(source: NpySource, labels: tuple[NpyLabel, ...]) -> Splits:
    """Reads all parts, each once."""
    splits = open_benchmark(source, labels)
    read = {id(part): {name: np.asarray(rows) for name, rows in part.items()} for part in splits}
    return Splits(*(read[id(part)] for part in splits))


def open_benchmark(source: NpySource, labels: tuple[NpyLabel, ...]) -> Splits:
    """All parts, with files that are read when needed.

    Without a validation fraction, validation is the test part.
    """
    folder = part_folder(source, "train")
    rows = train_rows(source, count_files(folder, labels))
    train, *held_out = (open_part(folder, indices, labels, source.dtype) for indices in rows)
    folder = part_folder(source, "val")
    indices = np.arange(count_files(folder, labels))
    test = open_part(folder, indices, labels, source.dtype)
    return Splits(train, held_out[0] if held_out else test, test)


def open_part(
    folder: pathlib.Path, rows: np.ndarray, labels: tuple[NpyLabel, ...], dtype: str
) -> dict[str, FileRows]:
    """Arrays of the images with the given numbers, read when needed."""
    size = image_size(folder / "image" / "0.npy")

    def open_files(name: str, read_file: Callable[[str], np.ndarray]) -> FileRows:
        files = [folder / name / f"{row}.npy" for row in rows]
        first = read_file(str(files[0]))
        if first.shape[:2] != size:
            rule = f"must be of {size[0]} x {size[1]} pixels as {folder / 'image' / '0.npy'}"
            raise BadInput(f"{files[0]} {rule}, not {list(first.shape)}")
        return FileRows(files, read_file, first.shape, first.dtype)

    arrays = {"inputs": open_files("image", functools.partial(read_image, dtype=dtype))}
    for label in labels:
        arrays[label.name] = open_files(label.folder, functools.partial(read_label, label=label))
    return arrays


def train_rows(source: NpySource, count: int) -> tuple[np.ndarray, ...]:
    """Numbers of the images to train on and, with a fraction, of those held out."""
    if source.validation is None:
        return (np.arange(count),)
    require(count > 1, source, "path", "must have two images to train", source.path)
    return hold_out(count, source.validation, source.seed, "npy_folders")


def part_folder(source: NpySource, part: Literal["train", "val"]) -> pathlib.Path:
    """The folder of a part."""
    folder = expand_path(source.path) / part
    require((folder / "image").is_dir(), source, "path", f"must have {part}/image", source.path)
    return folder


def count_files(folder: pathlib.Path, labels: tuple[NpyLabel, ...]) -> int:
    """Number of a part's images, which are numbered from 0, each with its labels.

    Raises:
      BadInput: naming a file that does not exist.
    """
    count = len(list((folder / "image").glob("*.npy")))
    if count == 0:
        raise BadInput(f"{folder / 'image'} must have files 0.npy, 1.npy, ..., and has none")
    for name in ("image", *(label.folder for label in labels)):
        there = {file.name for file in (folder / name).glob("*.npy")}
        missing = next((i for i in range(count) if f"{i}.npy" not in there), None)
        if missing is not None:
            file = folder / name / f"{missing}.npy"
            raise BadInput(f"{file} must exist, as there are {count} images in {folder / 'image'}")
    return count


def open_array(file: str | pathlib.Path, axes: tuple[int, ...]) -> np.ndarray:
    """A memory map of a file of numbers, which has one of several numbers of axes."""
    try:
        with PARSER:
            array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} cannot be read as an array: {error}") from error
    if array.ndim not in axes or array.dtype.kind not in "fiub" or array.size == 0:
        rule = f"must have numbers of {' or '.join(map(str, axes))} axes"
        raise BadInput(f"{file} {rule}, not {array.dtype} {list(array.shape)}")
    return array


def to_channels_last(file: str | pathlib.Path, array: np.ndarray, channels: int) -> np.ndarray:
    """An array `[H, W, channels]`, of `[H, W, channels]` or `[channels, H, W]`."""
    if array.shape[-1] == channels:
        return array
    if array.shape[0] != channels:
        rule = f"must have {channels} channels, the last or the first axis"
        raise BadInput(f"{file} {rule}, not {list(array.shape)}")
    return np.moveaxis(array, 0, -1)


def image_size(file: pathlib.Path) -> tuple[int, int]:
    """Height and width of an image; only its header is read."""
    height, width, _ = to_channels_last(file, open_array(file, (3,)), 3).shape
    return height, width


def read_image(file: str | pathlib.Path, dtype: str) -> np.ndarray:
    """An image `[H, W, 3]` of values in [0, 1], or of bytes.

    Raises:
      BadInput: naming the file, if it holds other values.
    """
    image = np.asarray(to_channels_last(file, open_array(file, (3,)), 3))
    if image.dtype == np.uint8:
        return image if dtype == "uint8" else (image / np.float32(255)).astype(np.float32)
    image = image.astype(np.float32)
    if not (image.min() >= 0 and image.max() <= 1):
        raise BadInput(f"{file} must have values in [0, 1], not {image.min()} to {image.max()}")
    return image if dtype == "float32" else np.rint(image * 255).astype(np.uint8)


def read_label(file: str | pathlib.Path, label: NpyLabel) -> np.ndarray:
    """Classes int32 `[H, W]`, -1 where negative; or numbers float32 `[H, W, D]`, NaN where 0.

    Raises:
      BadInput: naming the file, for a value that is no class.
    """
    if label.classes:
        values = np.asarray(open_array(file, (2,)))
        classes = np.where(values < 0, -1, values).astype(np.int32)
        if not (classes == np.maximum(values, -1)).all() or classes.max() >= label.classes:
            rule = f"must have classes below {label.classes}, or -1"
            raise BadInput(f"{file} {rule}, not {float(values.max())}")
        return classes
    array = open_array(file, (2, 3))
    array = array[..., None] if array.ndim == 2 else array
    numbers = to_channels_last(file, array, label.channels).astype(np.float32)
    return np.where((numbers == 0).all(-1, keepdims=True), np.float32(np.nan), numbers)
