"""What every method on the Jacobian keeps; a new one is tested by being exported."""

import functools
import re

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
from mtl_jax.core.validation import BadInput

FACE = {name: value for name, value in vars(aggregation).items() if name[0].isupper()}


def steeper(purity):
    """A function of the purity that keeps what is pure."""
    return jnp.clip(2.0 * purity - 0.5, 0.0, 1.0)


# Beside the defaults; and those that need some number of tasks.
MORE = [aggregation.PerLayer(aggregation.MGDA()), aggregation.GradDrop(f=steeper)]
# By what a method sees, the function by which it weighs.
VERBS = {
    "losses": "weigh_losses", "gramian": "weigh_gram", "cross_gramian": "weigh_cross",
    "heldout_losses": "weigh_outer", "jacobian": "combine",
}  # fmt: skip
FEWEST = {"TrimmedMean": 3}

METHODS = [make() for make in FACE.values() if hasattr(make, "combine")] + MORE


def text(method):
    """Its repr, with functions by their names alone."""
    return re.sub(r"<function (\w+) at \w+>", r"\1", repr(method))


every = pytest.mark.parametrize("method", METHODS, ids=text)

SHAPES = {"Dense_0": {"kernel": (6, 4), "bias": (4,)}, "Dense_1": {"kernel": (4, 2), "scale": ()}}
DRAWS = 400
KEY = jax.random.key(7)
KEYS = jax.random.split(KEY, DRAWS)


def tree(make):
    return jax.tree.map(make, SHAPES, is_leaf=lambda shape: isinstance(shape, tuple))


SHARED = tree(lambda shape: jnp.zeros(shape, jnp.float32))


def rows(num_tasks, seed=0, scale=1.0):
    """Gradients of mixed length, most of which conflict with others."""
    random = np.random.default_rng(seed)
    ends = np.cumsum([leaf.size for leaf in jax.tree.leaves(SHARED)])
    flat = random.normal(size=(num_tasks, ends[-1]))
    flat = (flat - 0.7 * flat.mean(0)) * random.uniform(0.5, 2.0, size=(num_tasks, 1))
    leaves = [
        (scale * part).reshape(num_tasks, *leaf.shape).astype("float32")
        for part, leaf in zip(np.split(flat, ends[:-1], 1), jax.tree.leaves(SHARED), strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(SHARED), leaves)


def losses(num_tasks, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 3.0, size=num_tasks).astype("float32")


def flat(gradient):
    """A tree as one vector of double floats."""
    return np.concatenate([np.ravel(np.asarray(g, "float64")) for g in jax.tree.leaves(gradient)])


def step(method, values, jacobian, state, key):
    """What `balance` calls, in its order."""
    state = method.pre_step(values, state)
    return method.combine(jacobian, state, key)


@functools.cache
def compiled(method):
    return jax.jit(functools.partial(step, method))


@functools.cache
def vmapped(method):
    return jax.jit(jax.vmap(functools.partial(step, method), (0, 0, None, 0)))


def types(state):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), state)


def fewest(method):
    return FEWEST.get(type(method).__name__, 1)


def test_there_are_methods():
    assert {type(method).__name__ for method in METHODS} >= {"GradDrop", "MoCo", "PerLayer"}


@pytest.mark.parametrize("name", FACE)
def test_every_export_has_one_verb_and_so_its_laws(name):
    method = FACE[name]().inner
    found = {verb for verb in VERBS.values() if hasattr(method, verb)}
    if isinstance(method, aggregation.CRMOGM):  # It weighs what its method weighs.
        assert found == {"weigh_losses", "weigh_gram"} and method.access == method.method.access
        method, found = method.method, found & {VERBS[method.access]}
    assert found == {VERBS[method.access]} and hasattr(method, VERBS[method.access])


@every
def test_fits_one_joint_and_repr_makes_it_again(method):
    assert isinstance(method, JacobianAggregator)
    assert not isinstance(method, LossWeighting | GramWeighting | CrossGramWeighting)
    again = eval(text(method), {**FACE, "steeper": steeper})
    assert again == method and hash(again) == hash(method)
    assert fingerprint(again) == fingerprint(method)


@every
@pytest.mark.parametrize("num_tasks", [1, 2, 5])
def test_gradient_shares_and_state_keep_their_types(method, num_tasks):
    if num_tasks < fewest(method):
        with pytest.raises(BadInput):
            method.init(num_tasks, SHARED)
        return
    state = method.init(num_tasks, SHARED)
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(state))
    before = types(state)
    for seed in range(2):
        jacobian, values = rows(num_tasks, seed), losses(num_tasks, seed)
        gradient, shares, state = compiled(method)(values, jacobian, state, KEY)
        assert types(state) == before
        assert jax.tree.map(jnp.shape, gradient) == SHAPES
        assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(gradient))
        assert shares.shape == (num_tasks,) and shares.dtype == np.float32
        assert np.isfinite(shares).all() and np.isfinite(flat(gradient)).all()
        assert np.abs(shares).sum() > 0.0 and np.abs(flat(gradient)).sum() > 0.0


@every
def test_scan_is_the_loop(method):
    values = jnp.stack([losses(5, seed) for seed in range(3)])
    jacobians = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[rows(5, s) for s in range(3)])

    @jax.jit
    def scan(state):
        def body(state, each):
            *found, state = step(method, *each[:2], state, each[2])
            return state, found

        return jax.lax.scan(body, state, (values, jacobians, KEYS[:3]))

    state = method.init(5, SHARED)
    last, (gradients, _) = scan(state)
    for i in range(3):
        jacobian = jax.tree.map(lambda leaf, i=i: leaf[i], jacobians)
        gradient, _, state = compiled(method)(values[i], jacobian, state, KEYS[i])
        together = jax.tree.map(lambda leaf, i=i: leaf[i], gradients)
        np.testing.assert_allclose(flat(together), flat(gradient), rtol=1e-4, atol=1e-5)
    assert types(last) == types(state)


@every
def test_vmap_is_the_loop(method):
    which = np.arange(DRAWS) % 3
    values = np.stack([losses(5, seed) for seed in range(3)])[which]
    several = jax.tree.map(lambda *leaves: np.stack(leaves)[which], *[rows(5, s) for s in range(3)])
    state = method.init(5, SHARED)
    together = vmapped(method)(values, several, state, KEYS)
    for i in range(3):
        alone = compiled(method)(values[i], rows(5, i), state, KEYS[i])
        for leaf, wanted in zip(*map(jax.tree.leaves, (together, alone)), strict=True):
            np.testing.assert_allclose(leaf[i], wanted, rtol=1e-4, atol=1e-5)


@every
def test_permuting_tasks_permutes_shares_and_leaves_the_gradient(method):
    """On the mean over keys, for methods that draw: within five standard errors."""
    if hasattr(method, "main"):
        pytest.skip(f"{method} names a task")
    order, found = np.array([3, 0, 4, 2, 1]), []
    for places in (np.arange(5), order):
        jacobian = jax.tree.map(lambda leaf, p=places: np.stack([leaf[p]] * DRAWS), rows(5))
        values = np.stack([losses(5)[places]] * DRAWS)
        gradient, shares, _ = vmapped(method)(values, jacobian, method.init(5, SHARED), KEYS)
        leaves = [np.asarray(leaf).reshape(DRAWS, -1) for leaf in jax.tree.leaves(gradient)]
        found.append((np.asarray(shares), np.concatenate(leaves, 1)))
    (shares, gradient), (other_shares, other_gradient) = found
    for one, other in ((shares[:, order], other_shares), (gradient, other_gradient)):
        error = 5.0 * np.sqrt((one.var(0) + other.var(0)) / DRAWS)
        difference = np.abs(one.mean(0) - other.mean(0))
        assert (difference <= error + 1e-4 * np.abs(other).max()).all()


@every
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_in_one_place_comes_out(method, value):
    jacobian = rows(5)
    jacobian["Dense_0"]["kernel"][2, 1, 1] = value
    state = method.init(5, SHARED)
    gradient, shares, state = compiled(method)(losses(5), jacobian, state, KEY)
    assert np.isnan(flat(gradient)).all() and np.isnan(shares).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
    gradient, shares, _ = compiled(method)(losses(5), rows(5), state, KEY)
    assert np.isfinite(flat(gradient)).all() and np.isfinite(shares).all()


@every
@pytest.mark.parametrize("zero", [[1], [0, 1, 2], [0, 1, 2, 3, 4]], ids=str)
def test_zero_rows_stay_finite(method, zero):
    state = method.init(5, SHARED)
    for seed in range(2):
        jacobian = rows(5, seed)
        for leaf in jax.tree.leaves(jacobian):
            leaf[zero] = 0.0
        gradient, shares, state = compiled(method)(losses(5, seed), jacobian, state, KEY)
        assert np.isfinite(shares).all() and np.isfinite(flat(gradient)).all()
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
        if len(zero) == 5:
            np.testing.assert_array_equal(flat(gradient), 0.0)


@every
def test_one_task_alone_keeps_its_direction(method):
    if fewest(method) > 1:
        pytest.skip(f"{method} needs more tasks")
    jacobian = rows(1)
    gradient, shares, _ = compiled(method)(losses(1), jacobian, method.init(1, SHARED), KEY)
    own, found = flat(jacobian), flat(gradient)
    assert shares[0] > 0.0
    cosine = own @ found / np.linalg.norm(own) / np.linalg.norm(found)
    np.testing.assert_allclose(cosine, 1.0, rtol=1e-6)


@every
@pytest.mark.parametrize("scale", [1e-10, 3.0, 1e10, 1e15])
def test_scaling_all_gradients_keeps_the_direction(method, scale):
    one = other = method.init(5, SHARED)
    for seed in range(2):
        before, _, one = compiled(method)(losses(5, seed), rows(5, seed), one, KEYS[seed])
        scaled = rows(5, seed, scale)
        after, _, other = compiled(method)(losses(5, seed), scaled, other, KEYS[seed])
        before, after = flat(before), flat(after)
        before, after = before / np.linalg.norm(before), after / np.linalg.norm(after)
        np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-5)


@every
def test_double_floats_stay_what_they_are(method):
    with jax.enable_x64(True):
        double = functools.partial(jax.tree.map, lambda leaf: jnp.array(leaf, "float64"))
        state = method.init(5, double(SHARED))
        given = double(losses(5)), double(rows(5)), state, KEY
        *found, after = jax.eval_shape(functools.partial(step, method), *given)
        assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype("float64")}
        assert types(after) == types(state)
        single = jax.tree.map(lambda leaf: leaf.astype("float32"), given[:2])
        state = method.init(5, SHARED)
        *found, after = jax.eval_shape(functools.partial(step, method), *single, state, KEY)
        assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype("float32")}
        assert types(after) == types(state)


@every
def test_no_gradient_flows_into_rows_or_losses(method):
    def value(values, jacobian):
        _, _, state = step(method, values, jacobian, method.init(5, SHARED), KEY)
        gradient, shares, _ = step(method, values, jacobian, state, KEY)
        return sum(leaf.sum() for leaf in jax.tree.leaves(gradient)) + shares @ jnp.arange(5.0)

    slopes = jax.jit(jax.grad(value, argnums=(0, 1)))(losses(5), rows(5))
    np.testing.assert_array_equal(flat(slopes), 0.0)


@every
def test_state_is_made_without_values(method):
    """A step is checked by shapes before anything is drawn."""
    shapes = jax.eval_shape(lambda: SHARED)
    assert types(jax.eval_shape(lambda: method.init(5, shapes))) == types(method.init(5, SHARED))
