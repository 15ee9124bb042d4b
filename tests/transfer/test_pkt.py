"""PKT: a value by hand, what it does not depend on, finite for degenerate features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.transfer import PKT, pkt, similarity_preserving
from tests.transfer.sights import is_the_function

FEATURES, TEACHER = jax.random.normal(jax.random.key(0), (2, 5, 4))


def test_value(variant):
    student = jnp.array([[2.0, 0.0], [0.0, 1.0], [-3.0, 0.0]])
    teacher = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # By hand: kernels of pairs 01, 02, 12 are 1/2, 0, 1/2 and 1, 1/2, 1/2.
    rows = [
        2 / 3 * np.log(2 / 3) + 1 / 3 * np.log((1 / 3 + 1e-7) / 1e-7),
        2 / 3 * np.log(4 / 3) + 1 / 3 * np.log(2 / 3),
        1 / 2 * np.log((1 / 2 + 1e-7) / 1e-7) + 1 / 2 * np.log(1 / 2),
    ]
    np.testing.assert_allclose(variant(pkt)(student, teacher), np.mean(rows), rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-15, 3.0, 1e15])
def test_rotations_and_scales_do_not_count(scale):
    turn = jnp.linalg.qr(jax.random.normal(jax.random.key(1), (4, 4)))[0]
    moved = jnp.float32(scale) * (FEATURES @ turn)
    np.testing.assert_allclose(pkt(moved, TEACHER), pkt(FEATURES, TEACHER), rtol=1e-3)
    np.testing.assert_allclose(pkt(moved, FEATURES), 0.0, atol=1e-6)
    assert pkt(FEATURES, TEACHER) > 1e-2


def test_lengths_of_single_examples_do_not_count_in_pkt():
    lengths = jnp.arange(1.0, 6.0)[:, None]
    np.testing.assert_allclose(pkt(lengths * FEATURES, FEATURES), 0.0, atol=1e-6)
    assert similarity_preserving(lengths * FEATURES, FEATURES) > 1e-3


def test_maps_are_flattened():
    maps = FEATURES.reshape(5, 2, 2)
    np.testing.assert_allclose(pkt(maps, TEACHER), pkt(FEATURES, TEACHER), rtol=1e-6)


def test_nothing_flows_into_the_teacher():
    slopes = jax.jit(jax.grad(pkt, (0, 1)))(FEATURES, TEACHER)
    assert slopes[0].any() and not slopes[1].any()


@pytest.mark.parametrize(
    "features",
    [jnp.zeros((5, 4)), jnp.ones((5, 4)), FEATURES.at[1].set(-FEATURES[0]), FEATURES.at[0].set(0)],
    ids=["zero", "equal", "opposite", "one zero"],
)
def test_degenerate_features_have_finite_gradients(features):
    for pair in ((features, TEACHER), (TEACHER, features)):
        value, slope = jax.value_and_grad(pkt)(*pair)
        assert jnp.isfinite(value) and jnp.isfinite(slope).all()


def test_two_opposite_examples_have_a_finite_gradient():
    features = jnp.array([[1.0, 0.0], [-1.0, 0.0]])
    value, slope = jax.value_and_grad(pkt)(features, TEACHER[:2])
    assert jnp.isfinite(value) and jnp.isfinite(slope).all()


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="at least 2"):
        pkt(FEATURES[:1], TEACHER[:1])
    with pytest.raises(ValueError, match="same examples"):
        pkt(FEATURES, TEACHER[:4])


def over_pairs(now, before):
    """PKT by hand: 4 labelled or 6 unlabelled images."""
    return pkt(now, before) / {4: 4.0, 6: 6.0}[len(now)]


@pytest.mark.parametrize("view", ["labelled", "weak"])
def test_it_is_the_function_of_the_features(view):
    is_the_function(PKT(view=view), over_pairs)
