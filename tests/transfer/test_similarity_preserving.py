"""Similarities: a value by hand, what they do not depend on, degenerate features, and in a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.transfer import SimilarityPreserving, similarity_preserving
from tests.transfer.sights import apart, begun, is_the_function, learning, trained

FEATURES, TEACHER = jax.random.normal(jax.random.key(0), (2, 5, 4))


def test_value(variant):
    student, teacher = jnp.eye(2), jnp.array([[1.0, 0.0], [4.0, 3.0]])
    # By hand: teacher's rows (1, 4) / sqrt 17 and (4, 25) / sqrt 641.
    rows = np.eye(2) - np.array([[1, 4] / np.sqrt(17.0), [4, 25] / np.sqrt(641.0)])
    found = variant(similarity_preserving)(student, teacher)
    np.testing.assert_allclose(found, (rows**2).sum() / 4, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-15, 3.0, 1e15])
def test_rotations_and_scales_do_not_count(scale):
    turn = jnp.linalg.qr(jax.random.normal(jax.random.key(1), (4, 4)))[0]
    moved = jnp.float32(scale) * (FEATURES @ turn)
    np.testing.assert_allclose(
        similarity_preserving(moved, TEACHER), similarity_preserving(FEATURES, TEACHER), rtol=1e-3
    )
    np.testing.assert_allclose(similarity_preserving(moved, FEATURES), 0.0, atol=1e-6)
    assert similarity_preserving(FEATURES, TEACHER) > 1e-2


def test_maps_are_flattened():
    maps = FEATURES.reshape(5, 2, 2)
    np.testing.assert_allclose(
        similarity_preserving(maps, TEACHER), similarity_preserving(FEATURES, TEACHER), rtol=1e-6
    )


def test_nothing_flows_into_the_teacher():
    slopes = jax.jit(jax.grad(similarity_preserving, (0, 1)))(FEATURES, TEACHER)
    assert slopes[0].any() and not slopes[1].any()


@pytest.mark.parametrize(
    "features",
    [jnp.zeros((5, 4)), jnp.ones((5, 4)), FEATURES.at[1].set(-FEATURES[0]), FEATURES.at[0].set(0)],
    ids=["zero", "equal", "opposite", "one zero"],
)
def test_degenerate_features_have_finite_gradients(features):
    for pair in ((features, TEACHER), (TEACHER, features)):
        value, slope = jax.value_and_grad(similarity_preserving)(*pair)
        assert jnp.isfinite(value) and jnp.isfinite(slope).all()


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="at least 2"):
        similarity_preserving(FEATURES[:1], TEACHER[:1])
    with pytest.raises(ValueError, match="same examples"):
        similarity_preserving(FEATURES, TEACHER[:4])


@pytest.mark.parametrize("view", ["labelled", "weak"])
def test_it_is_the_function_of_the_features(view):
    is_the_function(SimilarityPreserving(view=view), similarity_preserving)


@pytest.mark.slow
def test_in_a_run_it_holds_the_relations_near_the_source():
    source = begun()
    free = learning(SimilarityPreserving(0.0))
    plain = free.replace(tasks=tuple(task.replace(auxiliary=None) for task in free.tasks))
    runs = (free, plain, learning(SimilarityPreserving(100.0)))
    (one, said), (other, _), (near, told) = (trained(run, source, 6) for run in runs)
    assert apart(one, other) < 1e-6
    assert told["unlabelled_loss/row"] < 0.9 * said["unlabelled_loss/row"]
    assert apart(near, one) > 1e-4
