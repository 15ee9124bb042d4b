"""Flip: which sides change places, and how often."""

import jax
import numpy as np

from mtl_jax.augment import Flip

IMAGE = np.arange(12, dtype=np.float32).reshape(2, 3, 2) / 12
KEYS = jax.random.split(jax.random.key(0), 400)


def over(policy):
    return np.asarray(jax.jit(jax.vmap(policy, (0, None)))(KEYS, IMAGE))


def shares(found):
    """How often it is as it was, left to right, top to bottom, and both."""
    wanted = [IMAGE, IMAGE[:, ::-1], IMAGE[::-1], IMAGE[::-1, ::-1]]
    return [(found == image).all((1, 2, 3)).mean() for image in wanted]


def test_certain_flips():
    assert shares(over(Flip(left_right=1.0))) == [0.0, 1.0, 0.0, 0.0]
    assert shares(over(Flip(left_right=0.0, up_down=1.0))) == [0.0, 0.0, 1.0, 0.0]


def test_half_of_them_by_default_and_never_upside_down():
    same, mirrored, *others = shares(over(Flip()))
    assert abs(mirrored - 0.5) < 0.1 and same + mirrored == 1.0 and others == [0.0, 0.0]


def test_the_sides_are_drawn_apart():
    found = shares(over(Flip(left_right=0.5, up_down=0.2)))
    np.testing.assert_allclose(found, [0.4, 0.4, 0.1, 0.1], atol=0.1)  # by hand
