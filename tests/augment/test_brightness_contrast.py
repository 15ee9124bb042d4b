"""BrightnessContrast: one factor and one term for the whole image, within the strengths."""

import jax
import numpy as np

from mtl_jax.augment import BrightnessContrast

IMAGE = np.array([0.4, 0.5, 0.6], np.float32).reshape(1, 3, 1)
KEYS = jax.random.split(jax.random.key(0), 200)


def draws(policy):
    """Factor and term of each key, read off two pixels."""
    out = np.asarray(jax.jit(jax.vmap(policy, (0, None)))(KEYS, IMAGE))[:, 0, :, 0]
    factor = (out[:, 2] - out[:, 0]) / 0.2
    np.testing.assert_allclose(out[:, 1], (out[:, 0] + out[:, 2]) / 2, atol=1e-6)
    return factor, out[:, 1] - 0.5 * factor


def test_contrast_alone():
    factor, term = draws(BrightnessContrast(contrast=0.5))
    assert 0.5 <= factor.min() < 0.6 and 1.4 < factor.max() <= 1.5 + 1e-5
    np.testing.assert_allclose(term, 0.0, atol=1e-6)


def test_brightness_alone():
    factor, term = draws(BrightnessContrast(brightness=0.3))
    np.testing.assert_allclose(factor, 1.0, atol=1e-5)
    assert -0.3 - 1e-5 <= term.min() < -0.25 and 0.25 < term.max() <= 0.3 + 1e-5


def test_what_leaves_the_range_is_clipped():
    ends = np.array([0.0, 1.0], np.float32).reshape(1, 2, 1)
    out = np.asarray(jax.jit(jax.vmap(BrightnessContrast(brightness=1.0), (0, None)))(KEYS, ends))
    assert out.min() == 0.0 and out.max() == 1.0
    assert ((out == 0.0) | (out == 1.0)).any((1, 2, 3)).all()
