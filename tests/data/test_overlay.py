"""Overlay: pixels by hand and by Pillow, parts that share no image, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from mtl_jax.core.validation import BadInput
from mtl_jax.data import Arrays, Overlay
from mtl_jax.data.datasets.overlay import NEAREST, overlay_mgda, overlay_pareto
from tests.data.shapes import check_shapes


def part(first, rows, **changes):
    """Images whose number is in every pixel, and their last digits as labels."""
    number = np.arange(first, first + rows, dtype=np.uint8)
    image = np.tile(number[:, None, None, None], (1, 28, 28, 1))
    return {"inputs": image, "label": (number % 10).astype(np.int32)} | changes


def source(first=0):
    return Arrays(part(first + 1, 60), part(first + 61, 20), part(first + 81, 20))


ONE, OTHER = source(), source(100)
SIZES = {"train": 90, "validation": 10, "test": 20}
MGDA = Overlay(ONE, ONE, **SIZES)
PARETO = Overlay(ONE, ONE, "pareto", **SIZES)
MIXED = Overlay(ONE, OTHER, "pareto", **SIZES)
RNG = np.random.default_rng(0)


def test_nearest_neighbours_are_those_of_pillow():
    canvas = RNG.integers(256, size=(36, 36)).astype(np.uint8)
    small = Image.fromarray(canvas).resize((28, 28), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(canvas[NEAREST][:, NEAREST], np.asarray(small))


def test_mgda_overlays_by_the_maximum_and_shrinks():
    left, right = RNG.integers(256, size=(2, 3, 28, 28)).astype(np.uint8)
    canvas = np.zeros((2, 3, 36, 36), np.uint8)
    canvas[0, :, 0:28, 0:28], canvas[1, :, 6:34, 6:34] = left, right
    expected = canvas.max(0)[:, NEAREST][:, :, NEAREST]
    np.testing.assert_array_equal(overlay_mgda(left, right), expected)


def test_pareto_adds_and_clips_near_the_corners():
    left, right = np.full((200, 28, 28), 200, np.uint8), np.full((200, 28, 28), 100, np.uint8)
    images = overlay_pareto(left, right, np.random.default_rng(0))
    seen = set()
    for image in images:
        rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
        (a, b), (c, d) = (rows[0], columns[0]), (rows[-1] - 27, columns[-1] - 27)
        expected = np.zeros((36, 36), int)
        expected[a : a + 28, b : b + 28] += 200
        expected[c : c + 28, d : d + 28] += 100
        np.testing.assert_array_equal(image, np.minimum(expected, 255))
        seen |= {(a, b), (c, d)}
    corners = {(i, j) for low in (0, 4) for i in range(low, low + 5) for j in range(low, low + 5)}
    assert seen == corners


@pytest.mark.parametrize("overlay", [MGDA, PARETO, MIXED], ids=["mgda", "pareto", "mixed"])
def test_a_part_is_made_of_its_own_images_only(overlay):
    for name, found in overlay.load()._asdict().items():
        left, right = (getattr(side, name) for side in (overlay.left, overlay.right))
        size = len(left["label"])
        assert len(found["inputs"]) == getattr(overlay, name)
        labels = (left["label"], right["label"])
        rng = np.random.default_rng(0)
        first, second = overlay.sample_pairs(*labels, getattr(overlay, name), rng)
        # Every image lies on the left once before any does so twice.
        counts = np.bincount(first, minlength=size)
        assert counts.max() - counts.min() <= 1 and second.max() < size
        allowed = {0, *left["inputs"][:, 0, 0, 0], *right["inputs"][:, 0, 0, 0]}
        corners = found["inputs"][:, [0, -1], [0, -1], 0]
        assert set(corners.ravel()) <= allowed


def test_labels_are_those_of_the_images():
    for found, own in zip(MGDA.load(), ONE.load(), strict=True):
        numbers = set(own["inputs"][:, 0, 0, 0])
        for name, at in (("left", 0), ("right", 25)):  # Where only this one lies.
            assert set(found["inputs"][:, at, at, 0]) <= numbers
            np.testing.assert_array_equal(found["inputs"][:, at, at, 0] % 10, found[name])
            assert found["inputs"].dtype == np.uint8 and found[name].dtype == np.int32


def test_only_pareto_of_one_source_wants_two_classes():
    def same(overlay):
        found = overlay.load().train
        return (found["left"] == found["right"]).any()

    assert same(MGDA) and not same(PARETO) and same(MIXED)


@pytest.mark.parametrize("overlay", [MGDA, PARETO], ids=["mgda", "pareto"])
def test_shapes_are_told_without_reading(overlay):
    check_shapes(overlay)


def test_labels_may_have_other_names():
    named = Overlay(ONE, ONE, labels=("upper", "lower"), **SIZES)
    check_shapes(named)
    np.testing.assert_array_equal(named.load().test["lower"], MGDA.load().test["right"])


def test_the_seed_decides_and_the_size_of_a_part_changes_no_other():
    one = MGDA.load().test
    same = Overlay(ONE, ONE, **SIZES | {"train": 5}).load().test
    other = Overlay(ONE, ONE, **SIZES, seed=1).load().test
    np.testing.assert_array_equal(one["inputs"], same["inputs"])
    assert not np.array_equal(one["left"], other["left"])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"inputs": np.zeros((3, 8, 8, 1), np.uint8)}, r"images uint8 \[N, 28, 28, 1\].*\[3, 8, 8"),
        ({"inputs": np.zeros((3, 28, 28, 1), np.float32)}, r"not 'float32 \[3, 28, 28, 1\]'"),
        ({"label": np.zeros(3, np.int32)}, "needs two classes in each part"),
    ],
)
def test_unfit_sources_are_named(changes, text):
    fitting = part(0, 3, **changes)
    unfit = Arrays(fitting, fitting, fitting)
    with pytest.raises(BadInput, match=f"Overlay.*{text}"):
        Overlay(unfit, unfit, "pareto", **SIZES).load()


def test_a_source_without_the_label_is_named():
    bare = {"inputs": np.zeros((3, 28, 28, 1), np.uint8), "digit": np.zeros(3, np.int32)}
    with pytest.raises(BadInput, match='right\'s train part must have an "inputs" and a "label"'):
        Overlay(ONE, Arrays(bare, bare, bare), **SIZES).load()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"labels": ("a", "a")}, "Overlay.labels must be two different names"),
        ({"labels": ("a", "inputs")}, "Overlay.labels must be two different names"),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(BadInput, match=text):
        Overlay(**{"left": ONE, "right": ONE} | settings)
