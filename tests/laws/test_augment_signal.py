"""What every policy of signals keeps: shape and dtype; a new one is tested by being exported."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax.augment import Chain, signal

# A strength for each field there is; a policy with a new field needs a line here.
STRENGTHS = {
    "circular": True,
    "cut": 0.5,
    "reduce_ratio": 0.5,
    "fill": 0.5,
    "knots": 3,
    "probability": 0.3,
    "segments": 5,
    "sigma": 0.3,
    "steps": 20,
}


def made(make, strength):
    """A policy with all its fields set by their names."""
    return make(**{field.name: strength(field.name) for field in dataclasses.fields(make)})


def none(field):
    """The strength that changes nothing."""
    return type(STRENGTHS[field])()


CLASSES = [make for name, make in vars(signal).items() if name[0].isupper()]
CHAIN = Chain((signal.Scaling(), signal.TimeShift(5), signal.Jitter()))
POLICIES = [*(made(make, STRENGTHS.__getitem__) for make in CLASSES), CHAIN]
IDENTITIES = [made(make, none) for make in CLASSES]
SIGNALS = (5.0 * np.random.default_rng(0).normal(size=(64, 23, 3))).astype(np.float32)

every = pytest.mark.parametrize("policy", POLICIES, ids=str)


@pytest.fixture(scope="module")
def keys():
    return jax.random.split(jax.random.key(3), len(SIGNALS))


def test_there_are_policies():
    assert len(POLICIES) >= 11


@every
def test_repr_makes_it_again(policy):
    assert eval(repr(policy), {**vars(signal), "Chain": Chain}) == policy
    assert hash(policy) == hash(dataclasses.replace(policy))


@every
def test_shape_dtype_and_keys(policy, keys):
    many = jax.jit(jax.vmap(policy))
    out = np.asarray(many(keys, SIGNALS))
    assert out.shape == SIGNALS.shape and out.dtype == SIGNALS.dtype
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(out, many(keys, SIGNALS))
    same = np.asarray(many(keys, np.broadcast_to(SIGNALS[2], SIGNALS.shape)))
    assert len(np.unique(same, axis=0)) > len(keys) // 4, "different keys, different signals"
    np.testing.assert_allclose(out[5], jax.jit(policy)(keys[5], SIGNALS[5]), atol=1e-4)


@every
def test_numbers_outside_the_range_of_images_stay_outside(policy, keys):
    out = np.asarray(jax.jit(jax.vmap(policy))(keys, SIGNALS))
    assert out.min() < -5.0 and out.max() > 5.0


@every
@pytest.mark.parametrize("shape", [(1, 2), (2, 1)], ids=str)
def test_the_shortest_signals(policy, shape, keys):
    out = np.asarray(jax.jit(policy)(keys[0], np.ones(shape, np.float32)))
    assert out.shape == shape and np.isfinite(out).all()


@every
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_small_floats_stay_what_they_are(policy, dtype, keys):
    one = jax.ShapeDtypeStruct(SIGNALS.shape[1:], dtype)
    assert jax.eval_shape(policy, keys[0], one) == one


@every
def test_double_floats_stay_what_they_are(policy, keys):
    with jax.enable_x64(True):
        one = jax.ShapeDtypeStruct(SIGNALS.shape[1:], "float64")
        assert jax.eval_shape(policy, keys[0], one) == one


@pytest.mark.parametrize("policy", IDENTITIES, ids=str)
def test_strength_zero_is_the_identity(policy, keys):
    np.testing.assert_array_equal(jax.jit(jax.vmap(policy))(keys, SIGNALS), SIGNALS)


@pytest.mark.parametrize("policy", POLICIES + IDENTITIES, ids=str)
def test_whole_numbers_and_batches_are_refused(policy, keys):
    with pytest.raises(ValueError, match="a signal of floats, not int32"):
        policy(keys[0], np.zeros((4, 1), np.int32))
    with pytest.raises(ValueError, match=r"one signal .* vmap"):
        policy(keys[0], SIGNALS)


@pytest.mark.parametrize(
    ("make", "setting"),
    [
        (signal.Jitter, {"sigma": -1.0}),
        (signal.Scaling, {"sigma": -1.0}),
        (signal.MagnitudeWarp, {"knots": -1}),
        (signal.TimeWarp, {"knots": 1.5}),
        (signal.Permutation, {"segments": -1}),
        (signal.RandomCrop, {"cut": 1.0}),
        (signal.WindowSlice, {"reduce_ratio": -0.1}),
        (signal.FrequencyMask, {"probability": 1.1}),
        (signal.TimeMask, {"steps": -1}),
        (signal.TimeShift, {"steps": 2, "circular": 1}),
    ],
    ids=str,
)
def test_settings_are_checked(make, setting):
    with pytest.raises(ValueError, match=rf"{make.__name__}\.{list(setting)[-1]} must"):
        make(**setting)
