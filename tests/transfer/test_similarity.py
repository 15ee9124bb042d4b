"""SP and PKT: values by hand, what they do not depend on, finite for degenerate features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.transfer import pkt, similarity_preserving

LOSSES = [similarity_preserving, pkt]
FEATURES, TEACHER = jax.random.normal(jax.random.key(0), (2, 5, 4))


def test_similarity_preserving(variant):
    student, teacher = jnp.eye(2), jnp.array([[1.0, 0.0], [4.0, 3.0]])
    # By hand: teacher's rows (1, 4) / sqrt 17 and (4, 25) / sqrt 641.
    rows = np.eye(2) - np.array([[1, 4] / np.sqrt(17.0), [4, 25] / np.sqrt(641.0)])
    found = variant(similarity_preserving)(student, teacher)
    np.testing.assert_allclose(found, (rows**2).sum() / 4, rtol=1e-5)


def test_pkt(variant):
    student = jnp.array([[2.0, 0.0], [0.0, 1.0], [-3.0, 0.0]])
    teacher = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # By hand: kernels of pairs 01, 02, 12 are 1/2, 0, 1/2 and 1, 1/2, 1/2.
    rows = [
        2 / 3 * np.log(2 / 3) + 1 / 3 * np.log((1 / 3 + 1e-7) / 1e-7),
        2 / 3 * np.log(4 / 3) + 1 / 3 * np.log(2 / 3),
        1 / 2 * np.log((1 / 2 + 1e-7) / 1e-7) + 1 / 2 * np.log(1 / 2),
    ]
    np.testing.assert_allclose(variant(pkt)(student, teacher), np.mean(rows), rtol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scale", [1e-15, 3.0, 1e15])
def test_rotations_and_scales_do_not_count(loss, scale):
    turn = jnp.linalg.qr(jax.random.normal(jax.random.key(1), (4, 4)))[0]
    moved = jnp.float32(scale) * (FEATURES @ turn)
    np.testing.assert_allclose(loss(moved, TEACHER), loss(FEATURES, TEACHER), rtol=1e-3)
    np.testing.assert_allclose(loss(moved, FEATURES), 0.0, atol=1e-6)
    assert loss(FEATURES, TEACHER) > 1e-2


def test_lengths_of_single_examples_do_not_count_in_pkt():
    lengths = jnp.arange(1.0, 6.0)[:, None]
    np.testing.assert_allclose(pkt(lengths * FEATURES, FEATURES), 0.0, atol=1e-6)
    assert similarity_preserving(lengths * FEATURES, FEATURES) > 1e-3


@pytest.mark.parametrize("loss", LOSSES)
def test_maps_are_flattened(loss):
    maps = FEATURES.reshape(5, 2, 2)
    np.testing.assert_allclose(loss(maps, TEACHER), loss(FEATURES, TEACHER), rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_flows_into_the_teacher(loss):
    slopes = jax.jit(jax.grad(loss, (0, 1)))(FEATURES, TEACHER)
    assert slopes[0].any() and not slopes[1].any()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "features",
    [jnp.zeros((5, 4)), jnp.ones((5, 4)), FEATURES.at[1].set(-FEATURES[0]), FEATURES.at[0].set(0)],
    ids=["zero", "equal", "opposite", "one zero"],
)
def test_degenerate_features_have_finite_gradients(loss, features):
    for pair in ((features, TEACHER), (TEACHER, features)):
        value, slope = jax.value_and_grad(loss)(*pair)
        assert jnp.isfinite(value) and jnp.isfinite(slope).all()


def test_two_opposite_examples_have_a_finite_gradient():
    features = jnp.array([[1.0, 0.0], [-1.0, 0.0]])
    value, slope = jax.value_and_grad(pkt)(features, TEACHER[:2])
    assert jnp.isfinite(value) and jnp.isfinite(slope).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_shapes_are_checked(loss):
    with pytest.raises(ValueError, match="at least 2"):
        loss(FEATURES[:1], TEACHER[:1])
    with pytest.raises(ValueError, match="same examples"):
        loss(FEATURES, TEACHER[:4])
