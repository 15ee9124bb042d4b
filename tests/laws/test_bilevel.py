"""What every bilevel method keeps; a new one is tested by being exported."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation
from mtl_jax.core.balancing import (
    BilevelWeighting,
    GramWeighting,
    JacobianAggregator,
    LossWeighting,
)
from mtl_jax.core.fingerprint import fingerprint
from mtl_jax.core.validation import BadInput

FACE = {name: value for name, value in vars(aggregation).items() if name[0].isupper()}
METHODS = [make() for make in FACE.values() if hasattr(make, "weigh_outer")]
KEY = jax.random.key(7)
RATE = 0.1

every = pytest.mark.parametrize("method", METHODS, ids=str)


def outer_of(train, held):
    """Held-out losses `||theta' - h_k||^2 / 2` after one step from zero, with slopes `-t_i`."""

    def outer(weights):
        point = RATE * weights @ train
        return 0.5 * jnp.square(point[None] - held).sum(1)

    return outer


@functools.cache
def compiled(method):
    return jax.jit(lambda train, held, state: method.weigh_outer(outer_of(train, held), state, KEY))


def run(method, train, held, steps=1):
    """Weights `[steps, K]`, and the last state."""
    state, found = method.init(len(train)), []
    for _ in range(steps):
        weights, state = compiled(method)(jnp.asarray(train), jnp.asarray(held), state)
        found.append(np.asarray(weights))
    return np.array(found), state


def places(num_tasks, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(2, num_tasks, 6)).astype(np.float32)


def test_there_are_methods():
    assert {type(method).__name__ for method in METHODS} >= {"AutoLambda", "MOML"}


@every
def test_fits_one_joint_and_repr_makes_it_again(method):
    assert isinstance(method, BilevelWeighting)
    assert not isinstance(method, LossWeighting | GramWeighting | JacobianAggregator)
    again = eval(repr(method), dict(FACE))
    assert again == method and fingerprint(again) == fingerprint(method)


@every
@pytest.mark.parametrize("num_tasks", [1, 2, 5])
def test_weights_and_state(method, num_tasks):
    before = method.init(num_tasks)
    weights, state = run(method, *places(num_tasks), steps=3)
    assert weights.shape == (3, num_tasks) and np.isfinite(weights).all()
    assert jax.eval_shape(lambda: state) == jax.eval_shape(lambda: before)


@every
def test_the_task_that_helps_where_it_is_held_to_gains(method):
    train = np.eye(3, 6, dtype=np.float32)
    held = np.stack([5 * (train[0] - train[1])] * 3)  # towards task 0, away from task 1.
    start = run(method, train, held)[0][0]
    weights = run(method, train, held, steps=20)[0][-1]
    assert weights[0] > weights[2] > weights[1]
    assert weights[0] > start[0] and weights[1] < start[1]


@every
def test_permuting_tasks_permutes_weights(method):
    train, held = places(4)
    order = np.array([2, 0, 3, 1])
    weights, _ = run(method, train, held, steps=3)
    others, _ = run(method, train[order], held[order], steps=3)
    np.testing.assert_allclose(others, weights[:, order], rtol=1e-4, atol=1e-7)


@every
def test_what_is_no_number_comes_out_and_is_not_kept(method):
    train, held = places(3)
    before = method.init(3)
    weights, state = run(method, train, np.where(np.arange(6) == 2, np.nan, held))
    assert np.isnan(weights).all()
    for one, other in zip(jax.tree.leaves(before), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(one, other)


@every
def test_seeds_side_by_side(method):
    train, held = np.stack([places(3, seed) for seed in range(2)], 1)
    states = jax.vmap(lambda _: method.init(3))(jnp.arange(2))
    together, _ = jax.vmap(compiled(method))(jnp.asarray(train), jnp.asarray(held), states)
    for seed in range(2):
        alone = run(method, train[seed], held[seed])[0][0]
        np.testing.assert_allclose(together[seed], alone, rtol=1e-5)


@every
@pytest.mark.parametrize("changes", [{"held_out": 0.0}, {"held_out": 1.0}, {"learning_rate": -1.0}])
def test_bad_settings_are_named(method, changes):
    name = type(method).__name__
    with pytest.raises(BadInput, match=rf"{name}\.{next(iter(changes))} must"):
        type(method)(**changes)
