"""Rectangles inside images: their area, shape and place."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.augment.mix import sample_inner_rectangles

SAMPLES = 4000
sample = jax.jit(sample_inner_rectangles, static_argnames=("aspect", "height", "width"))


@functools.cache
def sides(area, aspect, height=100, width=80):
    """Masks of many rectangles of an area."""
    areas = jnp.full(SAMPLES, area, jnp.float32)
    rows, columns = sample(jax.random.key(0), areas, aspect=aspect, height=height, width=width)
    return np.asarray(rows), np.asarray(columns)


@pytest.mark.parametrize("area", [0.02, 0.4, 0.5, 1.0])
@pytest.mark.parametrize("aspect", [1.0, 2.0, 1 / 0.3])
def test_area_and_shape(area, aspect):
    rows, columns = (mask.mean(1) for mask in sides(area, aspect))
    # A side is rounded to a pixel.
    np.testing.assert_allclose(rows * columns, area, atol=0.0125)
    widest = min(aspect, 1 / area) * (1 + 0.02 / np.sqrt(area))
    assert (rows / columns).max() <= widest and (columns / rows).max() <= widest
    if area == 0.5 and aspect == 2.0:
        # French et al. sample the height as the area to the power of a uniform number.
        heights = np.sort(np.log(rows) / np.log(0.5))
        np.testing.assert_allclose(heights, np.linspace(0, 1, SAMPLES), atol=0.05)


def test_one_interval_a_side_at_all_places():
    rows, _ = sides(0.25, 1.0)
    assert (np.abs(np.diff(rows.astype(int), axis=1)).sum(1) <= 2).all()
    starts = np.bincount(rows.argmax(1), minlength=51)
    assert len(starts) == 51 and starts.min() > 0.5 * SAMPLES / 51  # 50 of 100 pixels: 0 to 50.


def test_no_area_is_no_rectangle():
    rows, _ = sides(0.0, 2.0)
    assert not rows.any()
