"""MaskedLabels: what the file keeps is kept, and files that do not fit are refused."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import MaskedLabels
from mtl_jax.data.labels import has_label
from tests.data.shapes import check_shapes
from tests.data.test_partial_annotation import NAMES, SOURCE


def saved(tmp_path, mask):
    """A source with a file of the mask."""
    path = tmp_path / "kept.npy"
    np.save(path, mask)
    return MaskedLabels(SOURCE, NAMES, str(path))


@pytest.mark.parametrize("dtype", [bool, np.float32, np.int64])
def test_the_file_says_what_is_kept(tmp_path, dtype):
    mask = np.random.default_rng(0).integers(0, 2, (61, 3))
    source = saved(tmp_path, mask.astype(dtype))
    check_shapes(source)
    train, *rest = source.load()
    whole, *others = SOURCE.load()
    for name, kept in zip(NAMES, mask.T.astype(bool), strict=True):
        np.testing.assert_array_equal(has_label(train[name]), kept)
        np.testing.assert_array_equal(train[name][kept], whole[name][kept])
    for name in ("inputs", "room"):
        np.testing.assert_array_equal(train[name], whole[name])
    for one, other in zip(rest, others, strict=True):
        assert all(a is b for a, b in zip(one.values(), other.values(), strict=True))


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (
            np.ones((60, 3)),
            "kept.npy must have a row for each of 61 examples and a column for each",
        ),
        (np.ones((61, 2)), r"column for each of 3 labels, not \[61, 2\]"),
        (np.full((61, 3), 0.5), "kept.npy must have 0 and 1 alone, not 0.5"),
        (np.ones(61), "kept.npy must have numbers of 2 axes"),
    ],
)
def test_files_are_checked(tmp_path, mask, text):
    source = saved(tmp_path, mask)
    for read in (source.shapes, source.load):
        with pytest.raises(BadInput, match=text):
            read()


def test_settings_are_checked(tmp_path):
    with pytest.raises(BadInput, match=r"missing.npy cannot be read as an array"):
        MaskedLabels(SOURCE, NAMES, str(tmp_path / "missing.npy")).shapes()
    with pytest.raises(BadInput, match="labels must be different names"):
        MaskedLabels(SOURCE, (), "kept.npy")
    with pytest.raises(BadInput, match="file must be a path, not 3"):
        MaskedLabels(SOURCE, NAMES, 3)
