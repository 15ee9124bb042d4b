"""What every method on two batches keeps; a new one is tested by being exported."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation
from mtl_jax.core.balancing import (
    CrossGramWeighting,
    GramWeighting,
    JacobianAggregator,
    LossWeighting,
)
from mtl_jax.core.fingerprint import fingerprint

FACE = {name: value for name, value in vars(aggregation).items() if name[0].isupper()}
METHODS = [make() for make in FACE.values() if hasattr(make, "weigh_cross")]
SAME_WEIGHTS_AT_ANY_SCALE = {"SDMGrad"}
KEY = jax.random.key(7)

every = pytest.mark.parametrize("method", METHODS, ids=str)


@functools.cache
def compiled(method):
    return jax.jit(method.weigh_cross)


def cross(num_tasks, seed=0):
    """Inner products of the gradients of two batches that have something in common."""
    random = np.random.default_rng(seed)
    common = random.normal(size=(num_tasks, 12))
    one, other = common + 0.5 * random.normal(size=(2, num_tasks, 12))
    return (one @ other.T).astype("float32")


def run(method, matrices):
    """Weights `[steps, K]` and states of one step after another."""
    state, found = method.init(len(matrices[0])), []
    for matrix in matrices:
        weights, state = compiled(method)(jnp.array(matrix, jnp.float32), state, KEY)
        found.append(np.asarray(weights))
    return np.array(found), state


def test_there_are_methods():
    assert {type(method).__name__ for method in METHODS} >= {"MoDo", "SDMGrad"}


@every
def test_fits_one_joint_and_repr_makes_it_again(method):
    assert isinstance(method, CrossGramWeighting)
    assert not isinstance(method, LossWeighting | GramWeighting | JacobianAggregator)
    again = eval(repr(method), dict(FACE))
    assert again == method and fingerprint(again) == fingerprint(method)


@every
@pytest.mark.parametrize("num_tasks", [1, 2, 5])
def test_weights_and_state(method, num_tasks):
    before = method.init(num_tasks)
    weights, state = run(method, [cross(num_tasks, seed) for seed in range(4)])
    assert weights.shape == (4, num_tasks) and weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-5)
    assert (weights >= 0.0).all()
    assert jax.eval_shape(lambda: state) == jax.eval_shape(lambda: before)
    assert num_tasks == 1 or np.abs(weights - 1.0 / num_tasks).max() > 0.0


@every
def test_permuting_tasks_permutes_weights(method):
    order, matrices = np.array([3, 0, 4, 2, 1]), [cross(5, seed) for seed in range(3)]
    weights, _ = run(method, matrices)
    others, _ = run(method, [matrix[np.ix_(order, order)] for matrix in matrices])
    np.testing.assert_allclose(others, weights[:, order], rtol=1e-3, atol=1e-5)


@every
def test_the_first_batch_and_the_second_are_told_apart(method):
    matrix = cross(4)
    assert np.abs(run(method, [matrix])[0] - run(method, [matrix.T])[0]).max() > 1e-6


@every
def test_scales(method):
    matrix = cross(5)
    plain, _ = run(method, [matrix])
    for scale in (0.0, 1e-30, 1e-16, 3.0, 1e16, 1e30):
        weights, state = run(method, [scale * matrix])
        assert np.isfinite(weights).all() and np.isfinite(state).all(), scale
        if type(method).__name__ in SAME_WEIGHTS_AT_ANY_SCALE and scale:
            np.testing.assert_allclose(weights, plain, rtol=1e-3, atol=1e-5)


@every
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_not_hidden_and_is_forgotten(method, value):
    broken = cross(3)
    broken[0, 1] = value
    weights, state = run(method, [broken])
    assert np.isnan(weights).all()
    np.testing.assert_array_equal(state, method.init(3))


@every
def test_no_gradient_flows_and_double_floats_stay(method):
    def weigh(given):
        return method.weigh_cross(given, method.init(3), KEY)[0]

    slope = jax.jit(jax.grad(lambda given: weigh(given) @ jnp.arange(3.0)))(cross(3))
    np.testing.assert_array_equal(slope, np.zeros((3, 3)))
    with jax.enable_x64(True):
        assert jax.eval_shape(weigh, jnp.array(cross(3), "float64")).dtype == "float64"


@every
def test_vmap_is_the_loop(method):
    given = jnp.stack([cross(4, seed) for seed in range(3)])
    together = jax.vmap(compiled(method), (0, None, None))(given, method.init(4), KEY)
    for i in range(3):
        alone = compiled(method)(given[i], method.init(4), KEY)
        np.testing.assert_allclose(together[0][i], alone[0], rtol=1e-4, atol=1e-6)
