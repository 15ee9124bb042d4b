"""Digits: parts share no image, pictures are what the placements say, settings are checked."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import Digits, MultiDigits, SingleDigits
from mtl_jax.data.datasets import digits
from mtl_jax.data.datasets.digits import digit_parts, read_digits
from tests.data.shapes import check_shapes

SMALL = MultiDigits(train=200, validation=50, test=100, jitter=1)
ALONE = SingleDigits(copies=2, jitter=1)


def test_parts_share_no_image_and_hold_every_class_alike():
    parts = digit_parts(0)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(1797))
    assert [len(part) for part in parts] == [1078, 360, 359]
    labels = read_digits()[1]
    shares = np.array([np.bincount(labels[part]) for part in parts]) / np.bincount(labels)
    np.testing.assert_allclose(shares, np.tile([[0.6], [0.2], [0.2]], 10), atol=0.012)


def test_every_digit_has_its_own_pixels_and_class():
    from sklearn.datasets import load_digits

    pixels, classes = load_digits(return_X_y=True)  # Each row holds the rows of a digit, 0 to 16.
    known = {x.astype(np.uint8).tobytes(): y for x, y in zip(pixels, classes, strict=True)}
    for part in Digits(seed=3).load():
        sixteenths = (part["inputs"] * 16).astype(np.uint8)
        np.testing.assert_array_equal(sixteenths, part["inputs"] * 16)
        wanted = [known[image.tobytes()] for image in sixteenths]
        np.testing.assert_array_equal(part["digit"], wanted)


@pytest.mark.parametrize("source", [SMALL, ALONE], ids=["multi", "single"])
def test_a_part_draws_only_from_its_own_images(source):
    for part, placed in zip(digit_parts(source.seed), source.placements(), strict=True):
        index = placed[0].index if isinstance(placed[0], tuple) else placed.index
        assert set(index) <= set(part)
    for part, placed in zip(digit_parts(SMALL.seed), SMALL.placements(), strict=True):
        assert set(placed[1].index) <= set(part)


@pytest.mark.parametrize("seed", [0, 3])
def test_sources_of_different_halves_share_no_digit_that_trains_or_validates(seed):
    single = SingleDigits(copies=2, half=0, seed=seed)
    multi = MultiDigits(train=2000, validation=500, test=100, half=1, seed=seed)
    check_shapes(single)
    whole, labels = digit_parts(seed), read_digits()[1]
    for place in (0, 1):
        left, right = multi.placements()[place]
        own, others = set(single.placements()[place].index), {*left.index, *right.index}
        assert not own & others and own | others <= set(whole[place])
        counts = [np.bincount(labels[list(part)], minlength=10) for part in (own, others)]
        assert np.abs(counts[0] - counts[1]).max() <= 2, "every class alike"
    assert set(single.placements()[2].index) == set(whole[2]), "no label of the test part is used"


def test_single_digits_place_every_image_of_their_part():
    for part, placed, copies in zip(digit_parts(0), ALONE.placements(), (2, 1, 1), strict=True):
        np.testing.assert_array_equal(np.sort(placed.index), np.repeat(part, copies))
        assert set(map(tuple, placed.offset)) == {
            (r + c, s + c) for r in (0, 1) for s in (0, 1) for c in (0, 3)
        }


def pasted(images, index, offset, size):
    """One digit in its image, by slicing."""
    out = np.zeros((size, size, 1), np.float32)
    out[offset[0] : offset[0] + 8, offset[1] : offset[1] + 8, 0] = images[index]
    return out


def test_two_digits_are_overlaid_by_their_maximum():
    images, labels = read_digits()
    for part, (left, right) in zip(SMALL.load(), SMALL.placements(), strict=True):
        for i in range(0, len(part["inputs"]), 7):
            one = pasted(images, left.index[i], left.offset[i], 12)
            two = pasted(images, right.index[i], right.offset[i], 12)
            np.testing.assert_array_equal(part["inputs"][i], np.where(one > two, one, two))
        np.testing.assert_array_equal(part["left"], labels[left.index])
        np.testing.assert_array_equal(part["right"], labels[right.index])
        assert (part["left"] != part["right"]).all()
        assert set(map(tuple, left.offset)) == {(0, 0), (0, 1), (1, 0), (1, 1)}
        assert set(map(tuple, right.offset)) == {(3, 3), (3, 4), (4, 3), (4, 4)}


def test_one_digit_lies_where_it_was_placed():
    images, labels = read_digits()
    part, placed = ALONE.load().test, ALONE.placements()[2]
    for i in range(0, len(placed.index), 20):
        expected = pasted(images, placed.index[i], placed.offset[i], 12)
        np.testing.assert_array_equal(part["inputs"][i], expected)
    np.testing.assert_array_equal(part["digit"], labels[placed.index])


@pytest.mark.parametrize("source", [SMALL, ALONE], ids=["multi", "single"])
def test_types_and_range(source):
    for part in source.load():
        image = part.pop("inputs")
        assert image.dtype == np.float32 and image.shape[1:] == (12, 12, 1)
        assert image.min() == 0 and image.max() == 1
        for label in part.values():
            assert label.dtype == np.int32 and set(label) == set(range(10))


@pytest.mark.parametrize("source", [SMALL, ALONE], ids=["multi", "single"])
def test_shapes_are_told_without_reading(source, monkeypatch):
    check_shapes(source)
    monkeypatch.setattr(digits, "read_digits", None)
    source.shapes()


def test_the_seed_decides_and_the_size_of_a_part_changes_no_other():
    one = SMALL.load()
    same = MultiDigits(train=10, validation=50, test=100, jitter=1).load()
    other = MultiDigits(train=10, validation=50, test=100, jitter=1, seed=1).load()
    np.testing.assert_array_equal(one.test["inputs"], same.test["inputs"])
    assert (one.test["left"] != other.test["left"]).any()
    assert not np.array_equal(digit_parts(0)[2], digit_parts(1)[2])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: MultiDigits(size=10, jitter=1), "MultiDigits.size must be at least 11"),
    ],
)
def test_bad_settings_are_named(make, text):
    with pytest.raises(BadInput, match=text):
        make()
