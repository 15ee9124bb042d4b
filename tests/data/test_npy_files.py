"""NpyFiles: arrays in files, in memory or read when needed."""

import numpy as np
import pytest

from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import BadInput
from mtl_jax.data import NpyFiles
from tests.data.shapes import check_shapes


def write(root, **changed):
    """Three parts of images, classes and maps; some arrays of train replaced."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 7), ("validation", 3), ("test", 4)):
        arrays = {
            "inputs": rng.integers(0, 256, (count, 6, 8, 3), np.uint8),
            "label": rng.integers(0, 3, count).astype(np.uint8),
            "depth": rng.random((count, 6, 8, 1), np.float32),
        } | (changed if part == "train" else {})
        (root / part).mkdir()
        for name, array in arrays.items():
            if array is not None:
                np.save(root / part / f"{name}.npy", array)
    return NpyFiles(str(root))


def test_arrays_are_those_of_the_files(tmp_path):
    source = write(tmp_path)
    check_shapes(source)
    opened = source.open_splits().train
    assert isinstance(opened["inputs"], Rows) and isinstance(opened["depth"], Rows)
    assert opened["label"].dtype == np.int64  # Missing labels are -1.


def test_columns_first(tmp_path):
    inputs = np.asfortranarray(np.random.default_rng(1).integers(0, 256, (7, 6, 8, 3), np.uint8))
    source = write(tmp_path, inputs=inputs)
    np.testing.assert_array_equal(source.open_splits().train["inputs"].read(np.arange(7)), inputs)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"inputs": None}, r"train/inputs\.npy must exist"),
        ({"inputs": np.zeros((7, 2))}, r"train/inputs\.npy must hold numbers \[N, D\] of float32"),
        ({"inputs": np.zeros(7, np.float32)}, r"inputs\.npy must hold an array of 2 to 4 axes"),
        ({"inputs": np.zeros((7, 3, 6, 8), np.uint8)}, "channels first"),
        ({"label": np.zeros(6)}, r"train/label\.npy must have 7 rows, not 6"),
        ({"depth": None}, r"validation/depth\.npy must be as in train, not there, not"),
        (
            {"label": np.array(["a"] * 7)},
            r"train/label\.npy must have numbers \[N, \.\.\.\], not <U1",
        ),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path, changed, text):
    source = write(tmp_path, **changed)
    for read in (source.shapes, source.load, source.open_splits):
        with pytest.raises(BadInput, match=text):
            read()


def test_a_source_that_changes_load_alone_is_not_read_by_row(tmp_path):
    class Changed(NpyFiles):
        def load(self):
            return super().load()

    class Both(Changed):
        def open_splits(self):
            return super().open_splits()

    source = write(tmp_path)
    assert source.has_random_access and Both(source.path).has_random_access
    assert not Changed(source.path).has_random_access


def test_values_are_checked_where_they_are_read(tmp_path):
    source = write(tmp_path, inputs=np.full((7, 6, 8, 3), 2, np.float32))
    with pytest.raises(BadInput, match=r"validation/inputs\.npy must be as in train"):
        source.load()
    (tmp_path / "train" / "inputs.npy").write_bytes(b"no array")
    with pytest.raises(BadInput, match=r"train/inputs\.npy cannot be read as an array"):
        source.shapes()
