"""What every policy keeps: shape, dtype and range; a new one is tested by being exported."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax import augment

# A strength for each field there is; a policy with a new field needs a line here.
STRENGTHS = {
    "brightness": 0.3,
    "contrast": 0.5,
    "degrees": 30.0,
    "fill": 0.5,
    "pixels": 3,
    "policies": (augment.Affine(degrees=20.0), augment.Shift(2)),
    "scale": 0.2,
    "shear": 0.2,
    "size": 4,
    "translate": 0.2,
}


def made(make, strength):
    """A policy with all its fields set by their names."""
    return make(**{field.name: strength(field.name) for field in dataclasses.fields(make)})


def none(field):
    """The strength that changes nothing."""
    return type(STRENGTHS[field])()


CLASSES = [make for name, make in vars(augment).items() if name[0].isupper()]
POLICIES = [made(make, STRENGTHS.__getitem__) for make in CLASSES]
IDENTITIES = [made(make, none) for make in CLASSES]
IMAGES = np.random.default_rng(0).uniform(size=(64, 9, 12, 2)).astype(np.float32)
IMAGES[0], IMAGES[1] = 0.0, 1.0

every = pytest.mark.parametrize("policy", POLICIES, ids=str)


@pytest.fixture(scope="module")
def keys():
    return jax.random.split(jax.random.key(3), len(IMAGES))


def test_there_are_policies():
    assert len(POLICIES) >= 5


@every
def test_repr_makes_it_again(policy):
    assert eval(repr(policy), dict(vars(augment))) == policy
    assert hash(policy) == hash(dataclasses.replace(policy))


@every
def test_shape_dtype_range_and_keys(policy, keys):
    many = jax.jit(jax.vmap(policy))
    out = np.asarray(many(keys, IMAGES))
    assert out.shape == IMAGES.shape and out.dtype == IMAGES.dtype
    assert (out >= 0.0).all() and (out <= 1.0).all()
    np.testing.assert_array_equal(out, many(keys, IMAGES))
    same = np.asarray(many(keys, np.broadcast_to(IMAGES[2], IMAGES.shape)))
    assert len(np.unique(same, axis=0)) > len(keys) // 4, "different keys, different images"
    alone = jax.jit(policy)(keys[5], IMAGES[5])
    np.testing.assert_allclose(out[5], alone, atol=1e-6)


@every
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_small_floats_stay_what_they_are(policy, dtype, keys):
    image = jax.ShapeDtypeStruct(IMAGES.shape[1:], dtype)
    assert jax.eval_shape(policy, keys[0], image) == image


@every
def test_double_floats_stay_what_they_are(policy, keys):
    with jax.enable_x64(True):
        image = jax.ShapeDtypeStruct(IMAGES.shape[1:], "float64")
        assert jax.eval_shape(policy, keys[0], image) == image


@pytest.mark.parametrize("policy", IDENTITIES, ids=str)
def test_strength_zero_is_the_identity(policy, keys):
    np.testing.assert_array_equal(jax.jit(jax.vmap(policy))(keys, IMAGES), IMAGES)


@pytest.mark.parametrize("policy", POLICIES + IDENTITIES, ids=str)
def test_bytes_and_batches_are_refused(policy, keys):
    with pytest.raises(ValueError, match=r"floats in .* not uint8"):
        policy(keys[0], np.zeros((4, 4, 1), np.uint8))
    with pytest.raises(ValueError, match=r"one image .* vmap"):
        policy(keys[0], IMAGES)
