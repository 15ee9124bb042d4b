"""What every consistency method keeps; a new one is tested by being exported."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax import consistency
from mtl_jax.losses import cross_entropy
from mtl_jax.protocols import Views

METHODS = [make() for name, make in vars(consistency).items() if name[0].isupper()]
U, C, N = 6, 4, 20

# Terms over the whole batch, which the loss of one example has too, are switched off by these.
BATCH_TERMS = {"fairness": 0.0}

every = pytest.mark.parametrize("method", METHODS, ids=str)


def views(seed, weak=None, strong=None):
    random = np.random.default_rng(seed)
    draw = (3.0 * random.normal(size=(3, U, C))).astype(np.float32)
    return Views(
        labelled=draw[0],
        labels=random.integers(0, C, U, np.int32),
        mask=np.ones(U, bool),
        weak=draw[1] if weak is None else weak,
        strong=draw[2] if strong is None else strong,
        index=random.permutation(N)[:U].astype(np.int32),
    )


def test_there_are_methods():
    assert len(METHODS) >= 2


@every
def test_repr_makes_it_again(method):
    assert eval(repr(method), dict(vars(consistency))) == method
    assert hash(method) == hash(dataclasses.replace(method))
    assert method.weight == 1.0


@every
def test_shapes_and_masks(method):
    loss, state, metrics = jax.jit(method.update)(views(0), method.init(C, N))
    assert loss.shape == (U,) and loss.dtype == np.float32
    assert np.isfinite(loss).all()
    assert 0.0 <= metrics["mask_rate"] <= 1.0
    assert all(np.shape(value) == () for value in metrics.values())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


@every
def test_gradient_reaches_strong_and_not_weak(method):
    weak = 9.0 * np.eye(C, dtype=np.float32)[np.arange(U) % C]  # sure of every class.

    def total(weak, strong):
        return method.update(views(1, weak, strong), method.init(C, N))[0].mean()

    grads = jax.jit(jax.grad(total, (0, 1)))(weak, views(1).strong)
    np.testing.assert_array_equal(grads[0], np.zeros((U, C)))
    assert np.abs(grads[1]).sum() > 0


@every
def test_state_keeps_its_shapes_under_scan(method):
    many = jax.tree.map(lambda *leaves: np.stack(leaves), *[views(seed) for seed in range(5)])

    def step(state, seen):
        _, state, _ = method.update(seen, state)
        return state, None

    first = method.init(C, N)
    last, _ = jax.jit(lambda state: jax.lax.scan(step, state, many))(first)
    # Weak types too: a state that changes its type is compiled twice.
    assert jax.eval_shape(lambda: last) == jax.eval_shape(lambda: first)
    update = jax.jit(method.update)
    for seed in range(5):
        first = update(views(seed), first)[1]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), last, first)


@every
def test_equal_and_sure_views_are_cross_entropy_with_the_own_guess(method):
    fields = {field.name for field in dataclasses.fields(method)}
    method = dataclasses.replace(method, **{k: v for k, v in BATCH_TERMS.items() if k in fields})
    logits = 6.0 * np.eye(C, dtype=np.float32)[[0, 1, 2, 3, 0, 1]]
    loss, _, metrics = jax.jit(method.update)(views(2, logits, logits), method.init(C, N))
    expected = jax.jit(cross_entropy)(logits, logits.argmax(-1))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert (np.asarray(loss) > 0).all() and metrics["mask_rate"] == 1.0
