"""The median angle of directions, by hand and beside the mean's rule for what is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.distance import cosine

from mtl_jax.metrics.normals import MedianAngle, angles


def inputs(seed, shape=(2, 3, 4, 3)):
    """Directions, of which some targets are 0 and some missing."""
    rng = np.random.default_rng(seed)
    outputs, targets = rng.normal(size=(2, *shape))
    targets[rng.random(shape[:-1]) < 0.2] = 0.0
    targets[rng.random(shape) < 0.05] = np.nan
    return outputs, targets


def test_median_is_of_all_known_angles():
    for seed in range(100):
        outputs, targets = inputs(seed)
        pairs = zip(outputs.reshape(-1, 3), targets.reshape(-1, 3), strict=True)
        each = [np.degrees(np.arccos(1 - cosine(f, y))) for f, y in pairs if (y != 0).any()]
        wanted = np.median([angle for angle in each if not np.isnan(angle)])
        np.testing.assert_allclose(MedianAngle().compute(outputs, targets), wanted, rtol=1e-6)


def test_what_is_known_is_that_of_the_mean_angle():
    with jax.enable_x64(True):
        outputs, targets = inputs(0)
        degrees, known = angles("x", jnp.array(outputs), jnp.array(targets), jnp.ones(2, bool))
        wanted = np.median(degrees[known])
    np.testing.assert_allclose(MedianAngle().compute(outputs, targets), wanted, rtol=1e-12)


def test_a_median_without_directions_is_nan_and_other_shapes_are_refused():
    for size in (0, 2):
        assert np.isnan(MedianAngle().compute(np.ones((size, 3)), np.zeros((size, 3))))
    assert MedianAngle().compute(np.zeros((1, 3)), np.ones((1, 3))) == 90.0
    with pytest.raises(ValueError, match="median angle needs predictions and targets"):
        MedianAngle().compute(np.ones((2, 3)), np.ones((2, 4)))
