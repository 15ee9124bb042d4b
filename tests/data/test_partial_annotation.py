"""PartialAnnotation: how many labels are kept, which, and that nothing else changes."""

import numpy as np
import pytest

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Arrays, PartialAnnotation
from mtl_jax.data.labels import has_label
from tests.data.shapes import check_shapes

NAMES = ("segmentation", "depth", "normal")


class Bytes(DataSource):
    """A label of bytes, which have no -1."""

    def shapes(self):
        return {"inputs": np.zeros((4, 2)), "dark": np.zeros(4, np.uint8)}

    def load(self):
        return Splits(*3 * [self.shapes()])


def part(count):
    rng = np.random.default_rng(count)
    return {
        "inputs": rng.random((count, 2, 3, 1), np.float32),
        "segmentation": rng.integers(0, 4, (count, 2, 3), dtype=np.int32),
        "depth": rng.random((count, 2, 3, 1), np.float32),
        "normal": rng.random((count, 2, 3, 3), np.float32),
        "room": rng.integers(0, 2, count, dtype=np.int32),
    }


SOURCE = Arrays(part(61), part(7), part(9))


@pytest.mark.parametrize("most", [1, 2, 3])
def test_each_example_keeps_some_and_each_label_as_many(most):
    source = PartialAnnotation(SOURCE, NAMES, most)
    check_shapes(source)
    train, *rest = source.load()
    whole, *others = SOURCE.load()
    kept = np.stack([has_label(train[name]) for name in NAMES])
    assert {*kept.sum(0)} == {*range(1, most + 1)}
    numbers = kept.sum(1)
    assert numbers.max() - numbers.min() <= 1
    for name, rows in zip(NAMES, kept, strict=True):
        np.testing.assert_array_equal(train[name][rows], whole[name][rows])
        gone = train[name][~rows]
        assert (np.isnan(gone) if gone.dtype.kind == "f" else gone == -1).all()
    for name in ("inputs", "room"):
        np.testing.assert_array_equal(train[name], whole[name])
    assert all(a is b for one, other in zip(rest, others, strict=True)
               for a, b in zip(one.values(), other.values(), strict=True))  # fmt: skip
    assert has_label(whole["depth"]).all(), "the source's own arrays do not change"


def test_the_draw_depends_on_the_seed_alone():
    def kept(seed):
        train = PartialAnnotation(SOURCE, NAMES, seed=seed).load().train
        return [has_label(train[name]).tolist() for name in NAMES]

    assert kept(0) == kept(0) != kept(1)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ((3, NAMES), "source must be a source"),
        ((SOURCE, ()), "labels must be different names"),
        ((SOURCE, ("depth", "depth")), "labels must be different names"),
        ((SOURCE, ("inputs",)), "labels must be different names"),
        ((SOURCE, NAMES, 0), "most must be at least 1"),
        ((SOURCE, NAMES, 4), "most must be at most 3, the number of labels, not 4"),
        ((SOURCE, NAMES, 1, -1), "seed must be at least 0"),
    ],
)
def test_settings_are_checked(settings, text):
    with pytest.raises(BadInput, match=rf"PartialAnnotation\.{text}"):
        PartialAnnotation(*settings)


def test_labels_that_do_not_fit_are_named():
    with pytest.raises(BadInput, match="the source has no 'edges', but"):
        PartialAnnotation(SOURCE, ("edges",)).shapes()
    with pytest.raises(BadInput, match="'dark' must have labels of signed integers or floats"):
        PartialAnnotation(Bytes(), ("dark",)).load()
