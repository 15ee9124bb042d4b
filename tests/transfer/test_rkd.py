"""RKD: values by hand, what it does not depend on, finite where examples coincide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.transfer import RKD, rkd_angle, rkd_distance
from tests.transfer.sights import is_the_function

LOSSES = [rkd_distance, rkd_angle]
FEATURES, TEACHER = jax.random.normal(jax.random.key(0), (2, 5, 4))
LINE = jnp.array([[0.0], [1.0], [2.0]])
RIGHT = jnp.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])


def test_distances(variant):
    # By hand: (1, 1, 2) / (4/3) against (3, 5, 4) / 4, pairs 01, 12, 02.
    terms = np.array([0.75 - 0.75, 0.75 - 1.25, 1.5 - 1.0]) ** 2 / 2
    np.testing.assert_allclose(variant(rkd_distance)(LINE, RIGHT), terms.mean(), rtol=1e-5)


def test_angles(variant):
    # By hand: cosines (1, -1, 1) at the three points against (0, 0.6, 0.8).
    terms = np.array([1.0 - 0.5, 1.6 - 0.5, 0.2**2 / 2])
    np.testing.assert_allclose(variant(rkd_angle)(LINE, RIGHT), terms.mean(), rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("scale", [1e-25, 3.0, 1e25])
def test_shifts_rotations_and_scales_do_not_count(loss, scale):
    turn = jnp.linalg.qr(jax.random.normal(jax.random.key(1), (4, 4)))[0]
    moved = jnp.float32(scale) * (FEATURES @ turn + 1.0)
    np.testing.assert_allclose(loss(moved, TEACHER), loss(FEATURES, TEACHER), rtol=1e-3)
    np.testing.assert_allclose(loss(moved, FEATURES), 0.0, atol=1e-8)
    assert loss(FEATURES, TEACHER) > 1e-2


@pytest.mark.parametrize("loss", LOSSES)
def test_the_order_of_examples_does_not_count(loss):
    np.testing.assert_allclose(
        loss(FEATURES[::-1], TEACHER[::-1]), loss(FEATURES, TEACHER), rtol=1e-5
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_flows_into_the_teacher(loss):
    slopes = jax.jit(jax.grad(loss, (0, 1)))(FEATURES, TEACHER)
    assert slopes[0].any() and not slopes[1].any()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "features",
    [jnp.zeros((5, 4)), jnp.ones((5, 4)), FEATURES.at[1].set(FEATURES[0])],
    ids=["zero", "equal", "two equal"],
)
def test_coinciding_examples_have_finite_gradients(loss, features):
    for pair in ((features, TEACHER), (TEACHER, features)):
        value, slope = jax.value_and_grad(loss)(*pair)
        assert jnp.isfinite(value) and jnp.isfinite(slope).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_rounding_of_compiled_products_has_no_direction(loss):
    """The scale is fused into the differences; an example's to itself must stay 0."""
    features = FEATURES.at[1].set(FEATURES[0])
    compiled = jax.jit(lambda f: loss(f * jnp.float32(0.3), TEACHER))(features)
    np.testing.assert_allclose(compiled, loss(features, TEACHER), rtol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_shapes_are_checked(loss):
    with pytest.raises(ValueError, match="with B at least"):
        loss(FEATURES[:1], TEACHER[:1])
    with pytest.raises(ValueError, match="with B at least"):
        loss(FEATURES, TEACHER[:4])


def relations(now, before):
    """RKD by hand."""
    return 2.0 * rkd_distance(now, before) + 3.0 * rkd_angle(now, before)


@pytest.mark.parametrize("view", ["labelled", "weak"])
def test_it_is_the_function_of_the_features(view):
    is_the_function(RKD(distance=2.0, angle=3.0, view=view), relations)
