"""What every consistency method for numbers keeps; a new one is tested by being exported."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import consistency
from mtl_jax.core import views
from mtl_jax.losses import squared_error
from tests.consistency.seen import B, C, seen
from tests.laws.test_consistency import SIZES, learners, methods_of, trained_loss, warmed

NUMBERS = methods_of("continuous")

every = pytest.mark.parametrize("method", NUMBERS.values(), ids=NUMBERS)


def sight_of(method, seed):
    """A random batch with C numbers as labels."""
    labels = np.random.default_rng(seed).normal(size=(B, C)).astype(np.float32)
    return seen(method, seed)._replace(labels=labels)


def losses(method, sight, state):
    """Unlabelled and labelled loss of a method, and what else it says."""
    own = method.labelled_loss(sight, squared_error, state) if method.has_labelled_loss else 0.0
    loss, state, metrics = method.update(sight, state)
    return loss, own, state, metrics


def test_there_are_methods():
    assert len(NUMBERS) >= 6


@every
def test_repr_makes_it_again(method):
    assert eval(repr(method), {**vars(views), **vars(consistency)}) == method
    assert hash(method) == hash(dataclasses.replace(method))
    assert method.weight >= 0.0


@every
def test_shapes_and_masks(method):
    run = jax.jit(losses, static_argnums=0)
    loss, own, state, metrics = run(method, sight_of(method, 0), method.init(SIZES))
    assert loss.ndim == 1 and loss.dtype == np.float32 and np.isfinite(loss).all()
    assert np.shape(own) == () and np.isfinite(own)
    assert 0.0 <= metrics["mask_rate"] <= 1.0
    assert all(np.shape(value) == () for value in metrics.values())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


@every
def test_something_learns_from_what_is_unlabelled_and_fixed_views_do_not(method):
    sight, (learn, fixed) = sight_of(method, 1), learners(method)

    def total(logits, heads):
        now = sight._replace(logits=logits, heads=heads)
        return trained_loss(method, now, warmed(method), squared_error)

    grads, extra = jax.jit(jax.grad(total, (0, 1)))(sight.logits, sight.heads)
    reached = sum(np.abs(grads[name]).sum() for name in learn if name != "labelled")
    reached += sum(np.abs(leaf).sum() for leaf in jax.tree.leaves(extra))
    assert reached > 0
    for name in fixed:
        np.testing.assert_array_equal(grads[name], np.zeros_like(grads[name]))


@every
def test_state_keeps_its_shapes_under_scan(method):
    many = jax.tree.map(lambda *a: jnp.stack(a), *[sight_of(method, seed) for seed in range(4)])

    def step(state, sight):
        _, state, _ = method.update(sight, state)
        return state, None

    first = method.init(SIZES)
    last, _ = jax.jit(lambda state: jax.lax.scan(step, state, many))(first)
    # Weak types too: a state that changes its type is compiled twice.
    assert jax.eval_shape(lambda: last) == jax.eval_shape(lambda: first)


@every
def test_seeds_side_by_side_are_as_seeds_alone(method):
    pair = jax.tree.map(lambda *a: jnp.stack(a), sight_of(method, 5), sight_of(method, 6))
    states = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), warmed(method))
    both = jax.jit(jax.vmap(method.update))(pair, states)
    alone = jax.jit(method.update)(sight_of(method, 6), warmed(method))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-4, atol=1e-5), both, alone
    )


@every
def test_missing_labels_do_not_matter(method):
    sight = sight_of(method, 7)
    mask = np.arange(B) < 3
    hidden, other = (
        sight._replace(
            labels=np.where(mask[:, None], sight.labels, value).astype(np.float32), mask=mask
        )
        for value in (np.nan, 1.0)
    )
    run = jax.jit(losses, static_argnums=0)
    first, second = (run(method, s, warmed(method)) for s in (hidden, other))
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(first))


@every
def test_the_zero_of_the_numbers_does_not_matter(method):
    """Outputs and labels moved by the same: the losses of several steps stay."""
    method = dataclasses.replace(method, every=1) if hasattr(method, "every") else method
    run = jax.jit(losses, static_argnums=0)
    state = moved_state = method.init(SIZES)
    for seed in range(3):
        sight = sight_of(method, seed)
        moved = sight._replace(
            labels=sight.labels + 4.0,
            logits={name: z + 4.0 for name, z in sight.logits.items()},
        )
        loss, own, state, _ = run(method, sight, state)
        moved_loss, moved_own, moved_state, _ = run(method, moved, moved_state)
        np.testing.assert_allclose(loss, moved_loss, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(own, moved_own, rtol=1e-3)
    assert trained_loss(method, sight, state, squared_error) > 0
