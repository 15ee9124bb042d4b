"""What every consistency method keeps; a new one is tested by being exported."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import consistency
from mtl_jax.consistency import Match
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.core import views
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.losses import cross_entropy
from tests.consistency.seen import B, C, N, seen
from tests.consistency.warm import warm

EXPORTS = {name: make for name, make in vars(consistency).items() if name[0].isupper()}
MADE = {name: made for name, make in EXPORTS.items() if hasattr(made := make(), "views")}


def methods_of(kind):
    """The methods for targets of a type, by name."""
    return {name: made for name, made in MADE.items() if kind in made.target_types}


PAPERS = methods_of("multiclass")
SIZES = DatasetSizes(C, N, N)

every = pytest.mark.parametrize("method", PAPERS.values(), ids=PAPERS)
matches = pytest.mark.parametrize(
    "method",
    [method for method in PAPERS.values() if isinstance(method, Match)],
    ids=[name for name, method in PAPERS.items() if isinstance(method, Match)],
)


def losses(method, sight, state):
    """Unlabelled and labelled loss of a method, and what else it says."""
    own = method.labelled_loss(sight, cross_entropy, state) if method.has_labelled_loss else 0.0
    loss, state, metrics = method.update(sight, state)
    return loss, own, state, metrics


def trained_loss(method, sight, state, loss=cross_entropy):
    """The loss that a method is for: on what is unlabelled, or for `SupervisedMix` labelled."""
    if isinstance(method, consistency.SupervisedMix):
        return method.labelled_loss(sight, loss, state)
    return method.update(sight, state)[0].mean()


def learners(method):
    """Names of the views that shall learn."""
    fixed = [v for v in method.views if isinstance(v, views.SeparatePass) and v.model != "student"]
    return [views.view_key(v) for v in method.views if v not in fixed], [
        views.view_key(v) for v in fixed
    ]


def test_there_are_methods():
    assert len(PAPERS) >= 9


@every
def test_repr_makes_it_again(method):
    assert eval(repr(method), {**vars(views), **vars(consistency)}) == method
    assert hash(method) == hash(dataclasses.replace(method))
    assert method.weight >= 0.0


@every
def test_shapes_and_masks(method):
    sight = seen(method, 0)
    loss, own, state, metrics = jax.jit(losses, static_argnums=0)(method, sight, method.init(SIZES))
    assert loss.ndim == 1 and loss.dtype == np.float32 and np.isfinite(loss).all()
    assert np.shape(own) == () and np.isfinite(own)
    assert 0.0 <= metrics["mask_rate"] <= 1.0
    assert all(np.shape(value) == () for value in metrics.values())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))


@every
def test_something_learns_from_what_is_unlabelled_and_fixed_views_do_not(method):
    sight, (learn, fixed) = seen(method, 1, sure=True), learners(method)

    def total(logits, heads):
        return trained_loss(method, sight._replace(logits=logits, heads=heads), warmed(method))

    grads, extra = jax.jit(jax.grad(total, (0, 1)))(sight.logits, sight.heads)
    reached = sum(np.abs(grads[name]).sum() for name in learn if name != "labelled")
    reached += sum(np.abs(leaf).sum() for leaf in jax.tree.leaves(extra))
    assert reached > 0
    for name in fixed:
        np.testing.assert_array_equal(grads[name], np.zeros_like(grads[name]))


def warmed(method):
    """A state in which the method has begun to use what is unlabelled."""
    state = method.init(SIZES)
    return warm(method, state)


@every
def test_state_keeps_its_shapes_under_scan(method):
    many = jax.tree.map(lambda *a: jnp.stack(a), *[seen(method, seed) for seed in range(4)])

    def step(state, sight):
        _, state, _ = method.update(sight, state)
        return state, None

    first = method.init(SIZES)
    last, _ = jax.jit(lambda state: jax.lax.scan(step, state, many))(first)
    # Weak types too: a state that changes its type is compiled twice.
    assert jax.eval_shape(lambda: last) == jax.eval_shape(lambda: first)
    update = jax.jit(method.update)
    for seed in range(4):
        first = update(seen(method, seed), first)[1]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), last, first)


@every
def test_seeds_side_by_side_are_as_seeds_alone(method):
    pair = jax.tree.map(lambda *a: jnp.stack(a), seen(method, 5), seen(method, 6))
    states = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), method.init(SIZES))
    both = jax.jit(jax.vmap(method.update))(pair, states)
    alone = jax.jit(method.update)(seen(method, 6), method.init(SIZES))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-4, atol=1e-5), both, alone
    )


@every
def test_missing_labels_do_not_matter(method):
    sight = seen(method, 7)
    mask = np.arange(B) < 3
    hidden = sight._replace(labels=np.where(mask, sight.labels, -1).astype(np.int32), mask=mask)
    other = sight._replace(labels=np.where(mask, sight.labels, 1).astype(np.int32), mask=mask)
    run = jax.jit(losses, static_argnums=0)
    first, second = (run(method, s, warmed(method)) for s in (hidden, other))
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(first))


@matches
def test_equal_and_sure_views_agree_with_the_own_guess(method):
    """The loss is the divergence of the guess from itself; terms over the batch are left out."""
    method = dataclasses.replace(method, terms=())
    logits = 9.0 * np.eye(C, dtype=np.float32)[[0, 1, 2, 3, 0, 1]]
    sight = seen(method, 2)
    sight = sight._replace(logits={name: logits[: len(v)] for name, v in sight.logits.items()})
    loss, _, metrics = jax.jit(method.update)(sight, method.init(SIZES))
    assert metrics["mask_rate"] > 0.99
    own = jax.nn.log_softmax(logits)
    expected = jax.jit(method.divergence)(logits, method.target(Prediction(own, own)))
    np.testing.assert_allclose(loss, expected, rtol=1e-2, atol=1e-7)


@matches
def test_every_pixel_is_an_output_of_its_own(method):
    """Four copies of an output are as one; methods with a state of each example are left out."""
    if isinstance(method.mask, consistency.CurriculumThreshold):
        pytest.skip("CurriculumThreshold keeps one class for each example")
    sight = seen(method, 3)
    wide = {name: np.repeat(v[:, None], 4, 1).reshape(len(v), 2, 2, C) for name, v in
            sight.logits.items()}  # fmt: skip
    update = jax.jit(method.update)
    one, _, seen_one = update(sight, method.init(SIZES))
    many, _, seen_many = update(sight._replace(logits=wide), method.init(SIZES))
    if isinstance(method.mask, consistency.TruncatedGaussian):
        pytest.skip("an unbiased variance knows how many there are")
    np.testing.assert_allclose(one, many, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen_one["mask_rate"], seen_many["mask_rate"], rtol=1e-6)
