"""Methods for numbers on vectors of which some entries are missing: as on each number alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import RDA, MixMatchRegression, RankUp
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.losses import squared_error
from tests.consistency.seen import B, N, U, seen

D = 3
KNOWN = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 0]], bool)  # None of the last number.
MASK = KNOWN.any(1)


def sight(method, seed, known=KNOWN):
    """A random batch with D numbers as labels, NaN where they are not known."""
    labels = np.random.default_rng(seed).normal(size=(B, D)).astype(np.float32)
    views = seen(method, seed, classes=D)
    return views._replace(labels=np.where(known, labels, np.nan), mask=known.any(1))


def alone(views, place):
    """What the method sees of one number; ranks have two outputs each."""
    rows = slice(2 * place, 2 * place + 2)
    return views._replace(
        logits={name: z[:, place : place + 1] for name, z in views.logits.items()},
        heads={h: {n: z[:, rows] for n, z in by.items()} for h, by in views.heads.items()},
        labels=np.nan_to_num(views.labels[:, place]),
        mask=~np.isnan(views.labels[:, place]),
    )


def test_ranks_and_quantiles_are_of_each_number_alone():
    """What has no label at all has no target, and the mean is over the others."""
    method = RDA(every=1, ramp=0.0)
    update = jax.jit(method.update)
    state = method.init(DatasetSizes(D, N, N))
    own = [method.init(DatasetSizes(1, N, N)) for _ in range(D)]
    for seed in range(3):
        views = sight(method, seed)
        views = views._replace(unlabelled_index=np.arange(U), labelled_index=np.arange(B))
        loss, state, metrics = update(views, state)
        found = [update(alone(views, place), own[place]) for place in range(D)]
        own = [after for _, after, _ in found]
        np.testing.assert_allclose(loss, (found[0][0] + found[1][0]) / 2, rtol=1e-4)
        assert not found[2][0].any()
    assert loss.min() > 0 and metrics["mask_rate"] == 1.0


def test_pairs_are_of_the_numbers_that_both_have():
    method = RankUp(arc_weight=0.5)
    views = sight(method, 0)
    counts = KNOWN.sum(0) ** 2
    found = method.labelled_loss(views, squared_error, ())
    ranks, errors = [], []
    for place in range(D):
        one = alone(views, place)
        error = np.square(one.logits["labelled"][:, 0] - one.labels)[one.mask].sum()
        errors.append(error)
        whole = method.labelled_loss(one, squared_error, ())
        ranks.append(whole - error / max(1, one.mask.sum()))
    wanted = np.sum(errors) / KNOWN.sum() + np.dot(ranks, counts) / counts.sum()
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_mixtures_have_the_own_output_where_a_number_is_missing():
    method = MixMatchRegression(ramp=0.0)
    views = sight(method, 0)
    targets, own = method.targets(views), []
    for place in range(D):
        one = alone(views, place)
        np.testing.assert_allclose(targets[:, place], method.targets(one)[:, 0], rtol=1e-5)
        own.append(float(method.labelled_loss(one, squared_error, ())) * one.mask.sum())
    found = method.labelled_loss(views, squared_error, ())
    np.testing.assert_allclose(found, np.sum(own) / KNOWN.sum(), rtol=1e-5)


@pytest.mark.parametrize("make", [RDA, RankUp, MixMatchRegression])
def test_nothing_is_nan_and_missing_entries_change_nothing(make):
    method = make()
    method = dataclasses.replace(method, every=1) if make is RDA else method

    def total(logits, labels):
        state, loss = method.init(DatasetSizes(D, N, N)), 0.0
        for seed in range(2):
            views = sight(method, seed)
            views = views._replace(labels=labels, logits=logits)
            own = method.labelled_loss(views, squared_error, state) if make is not RDA else 0.0
            each, state, _ = method.update(views, state)
            loss = loss + own + each.mean()
        return loss

    views = sight(method, 0)
    value, slope = jax.jit(jax.value_and_grad(total))(views.logits, views.labels)
    assert np.isfinite(value) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    other = np.where(MASK[:, None], views.labels, 7.0)  # Of the example without a label.
    np.testing.assert_array_equal(jax.jit(total)(views.logits, jnp.asarray(other)), value)
