"""Reader of IDX files, the format of MNIST and similar data sets, plain or gzipped."""

import gzip
import math
import pathlib
import zlib

import numpy as np

from mtl_jax.core.validation import BadInput

UNSIGNED_BYTE = 0x08  # The only type of the format that these data sets use.


def read_idx(folder: pathlib.Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Reads `name`, or else `name.gz`, in a folder, as uint8 of a known shape.

    A file consists of a magic number (two zero bytes, the type, the number of axes), the length of
    each axis as a big-endian 4-byte integer, and the values, the last axis fastest.

    Raises:
      BadInput: with file, rule and value, if the file does not exist, is truncated or damaged, or
        has another type, other axes, or more or fewer bytes than its axes specify.

    Reference: LeCun, Cortes and Burges, The MNIST Database, "File formats"
      (http://yann.lecun.com/exdb/mnist/).
    """
    file = find_file(folder, name)
    data = read_bytes(file)
    header_size = 4 + 4 * len(shape)
    require_file(
        len(data) >= header_size, file, f"must have a header of {header_size} bytes", len(data)
    )
    magic = (0, 0, UNSIGNED_BYTE, len(shape))
    text = "must begin with the bytes {}, {}, {}, {}".format(*magic)
    require_file(tuple(data[:4]) == magic, file, text, tuple(data[:4]))
    axes = tuple(np.frombuffer(data, ">u4", len(shape), offset=4).tolist())
    require_file(axes == shape, file, f"must hold an array {list(shape)}", list(axes))
    count = math.prod(shape)
    size = len(data) - header_size
    require_file(size == count, file, f"must have {count} bytes after its header", size)
    return np.frombuffer(data, np.uint8, offset=header_size).reshape(shape)


def find_file(folder: pathlib.Path, name: str) -> pathlib.Path:
    """The file of a name, plain if it exists, else gzipped.

    Raises:
      BadInput: if neither exists.
    """
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    raise BadInput(f"{folder} must hold {name} or {name}.gz, and holds neither")


def read_bytes(file: pathlib.Path) -> bytes:
    """The bytes of a file, decompressed if its name ends in .gz."""
    data = file.read_bytes()
    if file.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise BadInput(f"{file} must be a complete gzip file: {error}") from None


def require_file(holds: bool, file: pathlib.Path, rule: str, value: object) -> None:
    """Raises `BadInput` with file, rule and value unless `holds`."""
    if not holds:
        raise BadInput(f"{file} {rule}, not {value}")
