"""DerivedLabels: functions of a part's arrays, told by their shape for zeros."""

import numpy as np
import pytest

from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Arrays, ClassPresence, ClassShare, DerivedLabels, Input, MultiInput
from tests.data.shapes import check_shapes


def part(count, seed):
    rng = np.random.default_rng(seed)
    maps = rng.integers(-1, 4, (count, 3, 5)).astype(np.int32)
    return {"inputs": rng.integers(0, 255, (count, 3, 5, 1)).astype(np.uint8), "map": maps}


SOURCE = Arrays(part(7, 0), part(3, 1), part(4, 2))


def brightness(arrays):
    return arrays["inputs"].mean((1, 2, 3), dtype=np.float32)[:, None]


def top_class(arrays):
    return arrays["map"].max((1, 2))


def of_two(arrays):
    return np.zeros((2, 1), np.float32)


def as_list(arrays):
    return [0.0] * len(arrays["inputs"])


def as_flags(arrays):
    return arrays["map"].max((1, 2)) > 2


def of_known(arrays):
    """Another shape for some data: as many columns as classes that occur."""
    return np.zeros((len(arrays["map"]), len(np.unique(arrays["map"]))), np.float32)


def test_labels_are_functions_of_the_arrays():
    source = DerivedLabels(SOURCE, (("brightness", brightness), ("top", top_class)))
    check_shapes(source)
    for derived, own in zip(source.load(), SOURCE.load(), strict=True):
        assert derived.keys() == {"inputs", "map", "brightness", "top"}
        np.testing.assert_array_equal(derived["map"], own["map"])
        np.testing.assert_array_equal(derived["brightness"], brightness(own))
        np.testing.assert_array_equal(derived["top"], own["map"].max((1, 2)))


def test_shares_and_presence_without_any_known_pixel_are_missing():
    maps = np.array([[[0, 1], [1, -1]], [[-1, -1], [-1, -1]]])
    share = ClassShare("map", (1, 2))({"map": maps})
    np.testing.assert_allclose(share, [[2 / 3, 0], [np.nan, np.nan]], rtol=1e-6)
    found = ClassPresence("map", (0, 1, 2), min_pixels=2)({"map": maps})
    np.testing.assert_array_equal(found, [[0, 1, 0], [np.nan] * 3])
    assert share.dtype == found.dtype == np.float32


def test_the_source_can_be_written_down():
    source = DerivedLabels(SOURCE, (("cars", ClassPresence("map", (1, 2))),))
    assert "ClassPresence(label='map', classes=(1, 2)" in to_source(source)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (of_two, r"must give an array of integers or floats \[\d, ...\], not .float32 \[2, 1\]"),
        (as_list, "must give an array of integers or floats"),
        (as_flags, "must give an array of integers or floats .* not .bool"),
        (of_known, "must give the shape and type .* of zeros, not"),
    ],
)
def test_functions_that_do_not_fit_are_named(function, text):
    with pytest.raises(BadInput, match=f"DerivedLabels.labels: 'new' {text}"):
        DerivedLabels(SOURCE, (("new", function),)).load()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ((3, (("a", brightness),)), "source must be a source"),
        ((SOURCE, ()), "labels must be pairs"),
        ((SOURCE, (("a", 3),)), "labels must be pairs"),
        ((SOURCE, (("a", brightness), ("a", top_class))), "labels must have different names"),
        ((SOURCE, (("inputs", brightness),)), "labels must have different names"),
    ],
)
def test_settings_are_checked(settings, text):
    with pytest.raises(BadInput, match=f"DerivedLabels.{text}"):
        DerivedLabels(*settings)


def test_names_are_new_and_inputs_single():
    with pytest.raises(BadInput, match="labels must have names that the source has not, not 'map'"):
        DerivedLabels(SOURCE, (("map", top_class),)).shapes()
    several = MultiInput((Input("a", SOURCE, "map"),))
    with pytest.raises(BadInput, match='the source must have "inputs"'):
        DerivedLabels(several, (("b", top_class),)).shapes()


@pytest.mark.parametrize("classes", [(), (1, 1), (-1,), 3, ("a",)])
def test_classes_are_checked(classes):
    with pytest.raises(BadInput, match=r"ClassShare\.classes must be different integers"):
        ClassShare("map", classes)
