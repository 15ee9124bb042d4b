"""Flips: arrays reversed, normals and boxes mirrored; twice is the identity."""

import jax
import numpy as np
import pytest

from mtl_jax.augment.example import HorizontalFlip, Joint, VerticalFlip
from tests.augment.example.samples import HEIGHT, KINDS, WIDTH, assert_close, example

KEY = jax.random.key(0)


@pytest.mark.parametrize(("flip", "axis"), [(HorizontalFlip, 1), (VerticalFlip, 0)])
def test_a_certain_flip_is_a_reversal(variant, flip, axis):
    one = example()
    labels = {name: np.flip(one.labels[name], axis) for name in ("parts", "heat", "depth")}
    surface = np.flip(one.labels["surface"], axis).copy()
    surface[..., 1 - axis] *= -1.0
    things = one.labels["things"].copy()
    low, high, length = (1, 3, WIDTH) if axis else (2, 4, HEIGHT)
    things[:2, low], things[:2, high] = length - things[:2, high], length - things[:2, low]
    labels |= {"surface": surface, "things": things}
    labels |= {name: one.labels[name] for name in ("scene", "tags")}
    found = variant(Joint((flip(1.0),), KINDS))(KEY, one)
    assert_close(found, one._replace(inputs=np.flip(one.inputs, axis), labels=labels))


@pytest.mark.parametrize("flip", [HorizontalFlip(1.0), VerticalFlip(1.0)])
def test_twice_is_the_identity(flip):
    one, joint = example(), Joint((flip,), KINDS)
    assert_close(joint(KEY, joint(KEY, one)), one)
    assert_close(Joint((flip, flip), KINDS)(KEY, one), one)


def test_both_are_a_half_turn():
    one = example()
    found = Joint((HorizontalFlip(1.0), VerticalFlip(1.0)), KINDS)(KEY, one)
    np.testing.assert_array_equal(found.labels["heat"], one.labels["heat"][::-1, ::-1])
    turned = one.labels["surface"][::-1, ::-1] * np.array([-1.0, -1.0, 1.0], np.float32)
    np.testing.assert_array_equal(found.labels["surface"], turned)


@pytest.mark.parametrize("flip", [HorizontalFlip, VerticalFlip])
def test_how_often(flip):
    sample = jax.jit(
        jax.vmap(lambda key, p: flip(p).sample(key, (4, 6)).linear, (0, None)), static_argnums=1
    )
    keys = jax.random.split(KEY, 400)
    for probability in (0.0, 0.3, 1.0):
        share = (np.asarray(sample(keys, probability)).min((1, 2)) < 0).mean()
        assert abs(share - probability) < 0.08 * (0.0 < probability < 1.0) + 1e-9
