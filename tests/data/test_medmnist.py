"""MedMNIST: the arrays of its files, classes or several labels, and faults."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import MedMNIST
from tests.data.shapes import check_shapes

PARTS = (("train", 5), ("val", 2), ("test", 3))


def write(file, sides=(6, 6), labels=1, **changes):
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in PARTS:
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, *sides)).astype(np.uint8)
        values = rng.integers(0, 4 if labels == 1 else 2, (count, labels))
        arrays[f"{part}_labels"] = values.astype(np.uint8)
    np.savez_compressed(file, **(arrays | changes))
    return arrays


@pytest.mark.parametrize("sides", [(6, 6), (6, 6, 3), (6, 6, 6)])
@pytest.mark.parametrize("labels", [1, 14])
def test_arrays_are_those_of_the_file(tmp_path, sides, labels):
    arrays = write(tmp_path / "set.npz", sides, labels)
    source = MedMNIST(str(tmp_path / "set.npz"), label="finding")
    check_shapes(source)
    for (name, count), part in zip(PARTS, source.load(), strict=True):
        channels = 3 if sides[-1] == 3 else 1
        assert part["inputs"].shape[0] == count and part["inputs"].shape[-1] == channels
        np.testing.assert_array_equal(part["inputs"].ravel(), arrays[f"{name}_images"].ravel())
        np.testing.assert_array_equal(part["finding"].ravel(), arrays[f"{name}_labels"].ravel())
        assert part["finding"].dtype == (np.int32 if labels == 1 else np.float32)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"train_images": np.zeros((5, 6, 6))}, r"train must have .*not float64 \[5, 6, 6\] and"),
        ({"train_labels": np.zeros((4, 1), int)}, r"train must have .* int64 \[4, 1\]"),
        ({"train_labels": np.zeros(5, int)}, r"train must have .* int64 \[5\]"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, changes, text):
    write(tmp_path / "set.npz", **changes)
    source = MedMNIST(str(tmp_path / "set.npz"))
    for read in (source.shapes, source.load):
        with pytest.raises(BadInput, match=rf"set\.npz: {text}"):
            read()


def test_files_that_are_no_such_sets_are_named(tmp_path):
    source = MedMNIST(str(tmp_path / "set.npz"))
    with pytest.raises(BadInput, match=r"MedMNIST\.path must be a file"):
        source.shapes()
    np.savez(tmp_path / "set.npz", images=np.zeros(3))
    for read in (source.shapes, source.load):
        with pytest.raises(BadInput, match=r"set\.npz must be a \.npz file of MedMNIST"):
            read()
    (tmp_path / "set.npz").write_bytes(b"none")
    for read in (source.shapes, source.load):
        with pytest.raises(BadInput, match=r"set\.npz must be a \.npz file of MedMNIST"):
            read()


@pytest.mark.parametrize("settings", [(3,), ("x", "inputs"), ("x", "")])
def test_settings_are_checked(settings):
    with pytest.raises(BadInput, match=r"MedMNIST\.(path|label) must be"):
        MedMNIST(*settings)
