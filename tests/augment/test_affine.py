"""Affine: right angles, halves of pixels, the centre, and each strength by itself."""

from functools import partial

import jax
import numpy as np
import pytest

from mtl_jax.augment import Affine
from mtl_jax.augment.image.affine import bilinear

IMAGE = np.random.default_rng(0).uniform(size=(5, 5, 2)).astype(np.float32)
ALL = Affine(degrees=180.0, scale=0.5, shear=0.5, translate=0.4)


@partial(jax.jit, static_argnums=0)
def drawn(policy, draw):
    """The image for given draws: angle, scale, shear, down, right, each in -1..1."""
    return bilinear(IMAGE, *policy.source_coordinates(np.float32(1.0) * draw, 5, 5))


def of(**draw):
    names = ("angle", "scale", "shear", "down", "right")
    return np.asarray(drawn(ALL, np.array([draw.get(n, 0.0) for n in names], np.float32)))


def test_no_draw_is_the_identity():
    np.testing.assert_allclose(of(), IMAGE, atol=1e-6)


@pytest.mark.parametrize(("angle", "turns"), [(0.5, 1), (-0.5, -1), (1.0, 2)])
def test_right_angles(angle, turns):
    np.testing.assert_allclose(of(angle=angle), np.rot90(IMAGE, turns), atol=1e-5)


def test_translation_is_towards_positive():
    found = of(down=0.5, right=-1.0)  # one pixel down, two to the left.
    np.testing.assert_allclose(found[1:, :3], IMAGE[:-1, 2:], atol=1e-5)
    assert np.abs(found[0]).max() < 1e-5 and np.abs(found[:, 3:]).max() < 1e-5


def test_half_a_pixel_is_the_mean_of_two():
    found = of(right=0.25)
    np.testing.assert_allclose(found[:, 1:], (IMAGE[:, 1:] + IMAGE[:, :-1]) / 2, atol=1e-5)
    np.testing.assert_allclose(found[:, 0], IMAGE[:, 0] / 2, atol=1e-5)


def test_half_the_size_reads_every_second_pixel():
    found = of(scale=-1.0)
    np.testing.assert_allclose(found[1:4, 1:4], IMAGE[::2, ::2], atol=1e-5)
    assert np.abs(found[0]).max() == 0.0


def test_shear_moves_rows_by_their_distance():
    found = of(shear=1.0)  # x + y / 2: two rows down, one pixel to the right.
    np.testing.assert_allclose(found[4, 1:], IMAGE[4, :-1], atol=1e-5)
    np.testing.assert_allclose(found[0, :-1], IMAGE[0, 1:], atol=1e-5)
    np.testing.assert_allclose(found[2], IMAGE[2], atol=1e-5)


def test_far_away_is_zero():
    far = np.full((5, 5), 1e6, np.float32)
    assert (np.asarray(jax.jit(bilinear)(IMAGE, far, -far)) == 0.0).all()
