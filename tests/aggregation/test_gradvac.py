"""GradVac: known answers, what targets do, and degenerate gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import GradVac, PCGrad
from mtl_jax.aggregation.gradvac import gradvac_weights, step_length
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
weigh = jax.jit(lambda gram, state, key: GradVac().weigh_gram(gram, state, key))
vaccinated = jax.jit(gradvac_weights, static_argnames="beta")
TWO = jnp.array([[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[-4.0, 1.0, 1.0], [6.0, 1.0, 1.0]], [2.2222, 1.5789]),  # torchjd 0.18.0, GradVac.
        ([[1.0, 0.0], [1.0, 1.0]], [1.0, 1.0]),  # no conflict: the sum.
        ([[0.0, 0.0], [-1.0, 1.0]], [1.0, 1.0]),  # a zero row does nothing.
        ([[1.0, 0.0], [-2.0, 0.0]], [3.0, 1.5]),  # opposed, by hand: as PCGrad.
        ([[0.0, 0.0], [0.0, 0.0]], [1.0, 1.0]),
        ([[-3.0]], [1.0]),
    ],
)
def test_values_of_the_first_step(rows, expected):
    rows = jnp.array(rows)
    weights, _ = weigh(rows @ rows.T, jnp.zeros((len(rows),) * 2), KEY)
    np.testing.assert_allclose(weights, expected, rtol=1e-4)


def test_targets_follow_the_cosines_and_zero_rows_leave_them():
    rows = jnp.array([[1.0, 0.0], [0.0, 0.0], [2.0, 2.0]])
    cosine = np.sqrt(0.5)
    _, state = weigh(rows @ rows.T, GradVac().init(3), KEY)
    expected = np.array([[0.0, 0.0, cosine], [0.0] * 3, [cosine, 0.0, 0.0]])
    np.testing.assert_allclose(state, 0.5 * expected, rtol=1e-6)
    _, state = weigh(rows @ rows.T, state, KEY)
    np.testing.assert_allclose(state, 0.75 * expected, rtol=1e-6)


def test_a_pushed_gradient_comes_to_its_target():
    rows = np.array([[1.0, 0.0], [0.0, 3.0]])
    targets = jnp.array([[0.0, 0.6], [-1.0, 0.0]])  # The second task asks for nothing.
    weights, moved = vaccinated(jnp.array(rows @ rows.T, jnp.float32), targets, TWO, beta=0.5)
    np.testing.assert_allclose(weights, [1.0, 1.25], rtol=1e-6)  # by hand: (1, 3/4) is 3-4-5.
    np.testing.assert_allclose(moved, [[0.0, 0.3], [-0.5, 0.0]], atol=1e-6)


@pytest.mark.parametrize(("cosine", "target"), [(-0.8, 0.6), (-0.3, -0.1), (0.2, 0.9)])
def test_a_push_brings_any_angle_to_any_target(cosine, target):
    """In the plane: a unit vector at `cosine` to another, and the cosine of what it becomes."""
    one, other = np.array([1.0, 0.0]), np.array([cosine, np.sqrt(1.0 - cosine**2)])
    pushed = other + float(step_length(jnp.float32(cosine), jnp.float32(target))) * one
    np.testing.assert_allclose(pushed[0] / np.linalg.norm(pushed), target, rtol=1e-5)


def test_targets_of_zero_are_pcgrad():
    rows = np.random.default_rng(0).normal(size=(5, 7))
    rows -= 0.9 * rows.mean(0)
    gram = jnp.array(rows @ rows.T, jnp.float32)
    weights, state = jax.jit(GradVac(0.0).weigh_gram)(gram, jnp.zeros((5, 5)), KEY)
    expected, _ = jax.jit(PCGrad().weigh_gram)(gram, (), KEY)
    np.testing.assert_allclose(weights, expected, rtol=1e-4)
    np.testing.assert_array_equal(state, jnp.zeros((5, 5)))


def test_a_target_of_one_stays_finite():
    push_of = jax.jit(step_length)
    assert 10.0 < push_of(jnp.float32(0.0), jnp.float32(1.0)) < 100.0
    assert np.isfinite(push_of(jnp.float32(-1.0), jnp.float32(1.0)))
    gram, state = jnp.ones((2, 2)), jnp.zeros((2, 2))
    for _ in range(40):  # The target of duplicates tends to 1.
        weights, state = weigh(gram, state, KEY)
    np.testing.assert_allclose(state[0, 1], 1.0, rtol=1e-6)
    np.testing.assert_allclose(weights, [1.0, 1.0], rtol=1e-3)
    weights, _ = weigh(jnp.eye(2), state, KEY)
    assert np.isfinite(weights).all()


def test_what_is_not_finite_leaves_the_targets():
    state = jnp.full((2, 2), 0.25)
    weights, after = weigh(jnp.array([[1.0, jnp.nan], [jnp.nan, 1.0]]), state, KEY)
    assert np.isnan(weights).all()
    np.testing.assert_array_equal(after, state)


def test_bad_settings_and_shapes_are_refused():
    with pytest.raises(BadInput, match=r"GradVac.beta must lie between 0.0 and 1.0, not 2.0"):
        GradVac(2.0)
    with pytest.raises(AssertionError):
        gradvac_weights(jnp.eye(3), jnp.zeros((3, 3)), jnp.arange(3), 0.5)
    with pytest.raises(AssertionError):
        weigh(jnp.eye(3), jnp.zeros((2, 2)), KEY)
