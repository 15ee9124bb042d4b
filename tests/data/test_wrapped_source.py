"""What a wrapped source does not change, it says as the source does."""

import numpy as np
import pytest

from mtl_jax import data
from mtl_jax.core.data_source import DataSource, Splits

PART = {
    "inputs": np.zeros((4, 6, 6, 1), np.float32),
    "a": np.arange(4, dtype=np.int32) % 2,
    "b": np.linspace(0, 1, 4, dtype=np.float32),
}


class Source(DataSource):
    """A source that defines every optional member."""

    def shapes(self):
        return PART

    def load(self):
        return Splits(PART, PART, PART)

    def num_labelled(self):
        return 3

    def pools(self):
        return {"": np.array([1, 2])}

    def classes(self):
        return {"a": ("no", "yes")}

    def text_tokenizer(self):
        return len

    def columns(self):
        return {"height": 1}


def doubled(part):
    return 2 * part["b"]


SOURCE = Source()
WRAPPED = [
    data.DerivedLabels(SOURCE, (("c", doubled),)),
    data.PartialAnnotation(SOURCE, ("a", "b")),
    data.Resized(SOURCE, (3, 3)),
    data.StandardizedLabels(SOURCE, ("b",)),
]


@pytest.mark.parametrize("wrapped", WRAPPED, ids=lambda wrapped: type(wrapped).__name__)
@pytest.mark.parametrize(
    "member", ["num_labelled", "pools", "classes", "text_tokenizer", "columns"]
)
def test_the_rest_is_forwarded(wrapped, member):
    assert repr(getattr(wrapped, member)()) == repr(getattr(SOURCE, member)())


@pytest.mark.parametrize("wrapped", WRAPPED, ids=lambda wrapped: type(wrapped).__name__)
def test_labels_that_are_not_changed_stay(wrapped):
    np.testing.assert_array_equal(wrapped.load().test["a"], PART["a"])
