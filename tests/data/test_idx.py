"""IDX files: values by hand, plain and gzipped, and what is wrong with a file."""

import gzip
import struct

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.idx import read_idx


def packed(array, magic=None):
    """An array as an IDX file holds it."""
    magic = bytes((0, 0, 8, array.ndim)) if magic is None else magic
    return magic + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.arange(12, dtype=np.uint8).reshape(2, 3, 2)
# The format's own example of a head, by hand: type, axes, lengths.
BYTES = b"\0\0\x08\x03" + b"\0\0\0\x02" + b"\0\0\0\x03" + b"\0\0\0\x02" + bytes(range(12))


def test_a_file_by_hand(tmp_path):
    assert packed(IMAGES) == BYTES
    (tmp_path / "images").write_bytes(BYTES)
    found = read_idx(tmp_path, "images", (2, 3, 2))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, IMAGES)


def test_gzipped_files_are_read_if_there_is_no_plain_one(tmp_path):
    (tmp_path / "images.gz").write_bytes(gzip.compress(BYTES))
    np.testing.assert_array_equal(read_idx(tmp_path, "images", (2, 3, 2)), IMAGES)
    (tmp_path / "images").write_bytes(packed(IMAGES + 1))
    np.testing.assert_array_equal(read_idx(tmp_path, "images", (2, 3, 2)), IMAGES + 1)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (BYTES[:10], "images must have a header of 16 bytes, not 10"),
        (packed(IMAGES, b"\0\0\x0d\x03"), r"images must begin with .* 0, 0, 8, 3, not \(0, 0, 13"),
        (packed(IMAGES.reshape(2, 6)) + bytes(4), r"must begin .*, not \(0, 0, 8, 2\)"),
        (packed(IMAGES.reshape(3, 2, 2)), r"must hold an array \[2, 3, 2\], not \[3, 2, 2\]"),
        (BYTES[:-1], "images must have 12 bytes after its header, not 11"),
        (BYTES + b"\0", "images must have 12 bytes after its header, not 13"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, data, text):
    (tmp_path / "images").write_bytes(data)
    with pytest.raises(BadInput, match=text):
        read_idx(tmp_path, "images", (2, 3, 2))


# The packed bytes hold the second of packing: they must not become part of a test's name.
@pytest.mark.parametrize(
    "data", [gzip.compress(BYTES)[:-9], b"no gzip", b""], ids=["cut off", "no gzip", "empty"]
)
def test_a_damaged_gzip_file_is_named(tmp_path, data):
    (tmp_path / "images.gz").write_bytes(data)
    with pytest.raises(BadInput, match=r"images\.gz must"):
        read_idx(tmp_path, "images", (2, 3, 2))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"must hold images or images\.gz, and holds neither"):
        read_idx(tmp_path, "images", (2, 3, 2))
