"""Resized: images at another size, everything else as it was, and what is refused."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import Arrays, Digits, FashionMNIST, Input, MultiInput, Resized
from mtl_jax.data.files import resample
from tests.data.shapes import check_shapes

RNG = np.random.default_rng(0)


def source(dtype):
    def part(count):
        image = RNG.integers(256, size=(count, 4, 6, 2))
        image = image.astype(np.uint8) if dtype == np.uint8 else (image / 255).astype(np.float32)
        return {"inputs": image, "label": RNG.integers(3, size=count).astype(np.int32)}

    return Arrays(part(7), part(3), part(2))


BYTES, FLOATS = source(np.uint8), source(np.float32)


@pytest.mark.parametrize("one", [BYTES, FLOATS], ids=["bytes", "floats"])
def test_images_are_averaged_and_keep_their_type(one):
    for part, old in zip(Resized(one, (2, 3)).load(), one.load(), strict=True):
        image = old["inputs"].reshape(-1, 2, 2, 3, 2, 2).mean((2, 4), dtype=np.float64)
        rounding = 0.5 if image.max() > 1 else 1e-6
        np.testing.assert_allclose(part["inputs"], image, atol=rounding)
        assert part["inputs"].dtype == old["inputs"].dtype
        np.testing.assert_array_equal(part["label"], old["label"])


def test_bytes_are_rounded_not_cut():
    image = np.array([3, 4, 255, 255], np.uint8).reshape(1, 2, 2, 1)
    found = resample.resize(image, (2, 1))
    np.testing.assert_array_equal(found[0, :, 0, 0], [4, 255])  # by hand: 3.5 to even.
    part = {"inputs": np.full((1, 3, 3, 1), 255, np.uint8)}
    assert resample.resize(part["inputs"], (2, 2)).min() == 255


def test_how_many_go_at_once_does_not_matter(monkeypatch):
    whole = Resized(BYTES, (3, 3)).load()
    monkeypatch.setattr(resample, "CHUNK_SIZE", 2)
    for one, two in zip(whole, Resized(BYTES, (3, 3)).load(), strict=True):
        np.testing.assert_array_equal(one["inputs"], two["inputs"])


def test_its_own_size_changes_nothing():
    for one, two in zip(Resized(BYTES, (4, 6)).load(), BYTES.load(), strict=True):
        np.testing.assert_array_equal(one["inputs"], two["inputs"])


def test_small_digits_become_as_large_as_clothes():
    large = Resized(Digits(), (28, 28))
    check_shapes(large)
    assert large.shapes()["inputs"].shape[1:] == FashionMNIST().shapes()["inputs"].shape[1:]
    image = large.load().train["inputs"]
    assert image.min() >= 0 and image.max() <= 1


@pytest.mark.parametrize("one", [BYTES, FLOATS], ids=["bytes", "floats"])
def test_shapes_are_those_of_what_is_read(one):
    check_shapes(Resized(one, (5, 2)))


def test_shapes_are_told_without_reading():
    assert Resized(FashionMNIST("nowhere"), (16, 16)).shapes()["inputs"].shape[1:] == (16, 16, 1)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Resized(BYTES, (0, 2)), r"Resized.size must be \(height, width\), not \(0, 2\)"),
        (lambda: Resized(BYTES, (2.0, 2)), "Resized.size must be"),
    ],
)
def test_bad_settings_are_named(make, text):
    with pytest.raises(BadInput, match=text):
        make()


def test_streams_are_refused():
    streams = Resized(MultiInput((Input("row", BYTES),)), (2, 2))
    for told in (streams.shapes, streams.load):
        with pytest.raises(BadInput, match=r"Resized: the source must have \"inputs\" itself"):
            told()
