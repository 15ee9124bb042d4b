"""RandomAffine: the map of `Affine`, the turn of normals, depths, and boxes that are turned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment
from mtl_jax.augment.example import Example, Joint, RandomAffine
from tests.augment.example.samples import HEIGHT, KINDS, WIDTH, assert_close, example

STRENGTHS = {"degrees": 40.0, "scale": 0.3, "shear": 0.3, "translate": 0.2}


@pytest.mark.parametrize("strengths", [STRENGTHS, *({k: v} for k, v in STRENGTHS.items())])
def test_the_image_is_that_of_affine(strengths):
    """But where it fades to zero at the border there, and ends here."""
    one, key = example(), jax.random.key(3)
    found = np.asarray(RandomAffine(**strengths)(key, one._replace(labels={}), {}).inputs)
    policy = augment.Affine(**strengths)
    sample = jax.random.uniform(key, (5,), jnp.float32, -1.0, 1.0)
    rows, columns = policy.source_coordinates(sample, HEIGHT, WIDTH)
    inner = np.asarray((rows > 0) & (rows < HEIGHT - 1) & (columns > 0) & (columns < WIDTH - 1))
    assert inner.mean() > 0.3
    wanted = np.asarray(policy(key, one.inputs))
    np.testing.assert_allclose(found[inner], wanted[inner], atol=2e-5)


@pytest.mark.parametrize("seed", range(4))
def test_normals_turn_as_the_image_does(seed):
    """Normals that point along the gradient of a ramp still do in the turned image."""
    affine, key = RandomAffine(degrees=180.0), jax.random.key(seed)
    y, x = np.mgrid[:64, :64].astype(np.float32) / 64
    ramp = (0.3 * x + 0.4 * y)[..., None]
    surface = np.broadcast_to(np.array([0.6, 0.8, 0.0], np.float32), (64, 64, 3))
    out = affine(key, Example(ramp, {"surface": surface}), {"surface": "normals"})
    image, normal = np.asarray(out.inputs)[..., 0], np.asarray(out.labels["surface"])[32, 32]
    down, right = (part[28:36, 28:36].mean() for part in np.gradient(image))
    gradient = np.array([right, down]) / np.hypot(right, down)
    np.testing.assert_allclose(normal, [*gradient, 0.0], atol=1e-3)


def test_a_point_goes_where_its_box_goes():
    """A bright pixel, its class, its depth and its box move together."""
    affine = RandomAffine(**STRENGTHS)
    image, parts = np.zeros((48, 64, 1), np.float32), np.zeros((48, 64), np.int32)
    image[20:25, 30:36], parts[20:25, 30:36] = 1.0, 5
    depth = np.where(parts == 5, 2.0, 4.0).astype(np.float32)
    things = np.array([[5, 30, 20, 36, 25]], np.float32)
    one = Example(image, {"parts": parts, "depth": depth, "things": things})
    kinds = {"parts": "classes", "depth": "depth", "things": "boxes"}
    for seed in range(4):
        key = jax.random.key(seed)
        out = affine(key, one, kinds)
        rows, columns = np.nonzero(np.asarray(out.labels["parts"]) == 5)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(found, out.labels["things"][0, 1:], atol=1.6)
        bright = np.asarray(out.inputs)[..., 0] > 0.5
        assert (bright != (np.asarray(out.labels["parts"]) == 5)).sum() <= 6
        zoom = 1.0 + 0.3 * float(jax.random.uniform(key, (5,), jnp.float32, -1.0, 1.0)[1])
        np.testing.assert_allclose(
            np.asarray(out.labels["depth"])[rows, columns], 2.0 / zoom, rtol=1e-5
        )


def test_no_strength_is_the_identity():
    assert_close(Joint((RandomAffine(),), KINDS)(jax.random.key(0), example()), example(), 1e-6)
