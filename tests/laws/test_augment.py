"""What every policy keeps: shape, dtype and range; a new one is tested by being exported."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax import augment
from mtl_jax.augment.image import operations

# A strength for each field there is; a policy with a new field needs a line here.
STRENGTHS = {
    "brightness": 0.3,
    "contrast": 0.5,
    "count": 2,
    "num_ops": 2,
    "degrees": 30.0,
    "extent": 0.3,
    "fill": 0.5,
    "flip": 0.5,
    "hue": 0.2,
    "min_sigma": 0.1,
    "left_right": 0.5,
    "levels": 10,
    "num_magnitude_bins": 10,
    "max_sigma": 2.0,
    "operations": (operations.Rotate(), operations.Equalize(), operations.Brightness()),
    "pixels": 3,
    "policies": (augment.Affine(degrees=20.0), augment.RandomTranslate(2)),
    "probability": 0.5,
    "random": True,
    "saturation": 0.5,
    "scale": 0.2,
    "sequences": (
        ((operations.Invert(), 0.6, 0.0), (operations.Posterize(), 0.5, 0.9)),
        ((operations.ShearX(), 0.5, 0.9), (operations.Solarize(), 0.5, 0.7)),
        ((operations.TranslateY(), 0.7, 0.8), (operations.Contrast(), 0.5, 0.2)),
    ),
    "shear": 0.2,
    "size": 4,
    "translate": 0.2,
    "up_down": 0.5,
}

# What a policy can make of one image, where that is little.
FEW = {augment.AutoAugment: 10, augment.Flip: 4}


def made(make, strength):
    """A policy with all its fields set by their names."""
    return make(**{field.name: strength(field.name) for field in dataclasses.fields(make)})


def none(field):
    """The strength that changes nothing."""
    return type(STRENGTHS[field])()


CLASSES = [make for name, make in vars(augment).items() if name[0].isupper()]
# One that learns has a state, and its own test.
CLASSES = [make for make in CLASSES if not hasattr(make, "probe")]
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
    names = vars(operations) | vars(augment)
    assert eval(repr(policy), names) == policy
    assert hash(policy) == hash(dataclasses.replace(policy))


@every
def test_shape_dtype_range_and_keys(policy, keys):
    many = jax.jit(jax.vmap(policy))
    out = np.asarray(many(keys, IMAGES))
    assert out.shape == IMAGES.shape and out.dtype == IMAGES.dtype
    assert (out >= 0.0).all() and (out <= 1.0).all()
    np.testing.assert_array_equal(out, many(keys, IMAGES))
    same = np.asarray(many(keys, np.broadcast_to(IMAGES[2], IMAGES.shape)))
    least = FEW.get(type(policy), len(keys) // 4)
    assert len(np.unique(same, axis=0)) >= least, "different keys, different images"
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


# The parts of a chain check; one without parts has nothing to refuse.
CHECKED = [policy for policy in POLICIES + IDENTITIES if policy != augment.Chain(())]


@every
def test_bytes_stay_bytes(policy, keys):
    levels = np.round(IMAGES * 255).astype(np.uint8)
    many = jax.jit(jax.vmap(policy))
    out, floats = many(keys, levels), many(keys, levels / np.float32(255))
    assert out.dtype == np.uint8
    # Each policy of a chain may round.
    assert np.abs(np.asarray(out) - 255.0 * np.asarray(floats)).max() < 1.51


@pytest.mark.parametrize("policy", CHECKED, ids=str)
def test_other_numbers_and_batches_are_refused(policy, keys):
    with pytest.raises(ValueError, match=r"floats in .* or uint8, not int32"):
        policy(keys[0], np.zeros((4, 4, 1), np.int32))
    with pytest.raises(ValueError, match=r"one image .* vmap"):
        policy(keys[0], IMAGES)
