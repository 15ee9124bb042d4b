"""RDA: ranks to quantiles, when targets move, and what its memory holds."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.consistency import RDA
from mtl_jax.consistency.quantile_alignment import match_quantiles
from mtl_jax.core.aux_inputs import DatasetSizes
from tests.consistency.seen import seen
from tests.consistency.warm import warm

METHOD = RDA(every=2, ramp=0.0)
SIZES = DatasetSizes(1, 6, 4)
update = jax.jit(RDA.update, static_argnums=0)
rank = jax.jit(match_quantiles)


def sight(outputs, index, labels=(10.0, 30.0), places=(0, 2), mask=(True, True)):
    outputs = np.array(outputs, np.float32)[:, None]
    return seen(METHOD, 0)._replace(
        logits={"weak": outputs},
        unlabelled_index=np.array(index, np.int32),
        labels=np.array(labels, np.float32),
        labelled_index=np.array(places, np.int32),
        mask=np.array(mask),
    )


def test_ranks_become_quantiles():
    """Numpy's own interpolation of the labels that are there, for the outputs that are."""
    random = np.random.default_rng(0)
    outputs, labels = random.normal(size=9), random.normal(size=5)
    seen_here, there = random.uniform(size=9) < 0.7, np.array([True, True, False, True, True])
    found = rank(*(jnp.array(a) for a in (outputs, seen_here, labels, there)))
    known, own = np.sort(labels[there]), outputs[seen_here]
    wanted = np.interp(np.linspace(0, 1, len(own)), np.linspace(0, 1, len(known)), known)
    np.testing.assert_allclose(found[seen_here], wanted[own.argsort().argsort()], rtol=1e-5)


def test_one_label_is_the_target_of_all():
    found = rank(jnp.arange(3.0), jnp.ones(3, bool), jnp.array([7.0, 1.0]), jnp.arange(2) < 1)
    np.testing.assert_allclose(found, [7.0, 7.0, 7.0])


def test_targets_come_every_so_many_steps():
    state = METHOD.init(SIZES)
    steps = [([1.0, 2.0], (0, 1)), ([5.0, 0.0], (2, 3)), ([9.0, 3.0], (0, 1)), ([4.0, 8.0], (1, 4))]
    losses = []
    for outputs, index in steps:
        loss, state, metrics = update(METHOD, sight(outputs, index), state)
        losses.append(loss)
    # At step 2 the pool has 9, 3, 5, 0: ranks 3, 1, 2, 0 of 4, quantiles of 10 and 30.
    np.testing.assert_allclose(state.targets[:4, 0], [30.0, 50 / 3, 70 / 3, 10.0], rtol=1e-6)
    np.testing.assert_array_equal(state.aligned, [1, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(losses[:2], np.zeros((2, 2)))
    np.testing.assert_allclose(losses[2], [21.0**2, (3 - 50 / 3) ** 2], rtol=1e-5)  # by hand.
    np.testing.assert_allclose(losses[3], [(4 - 50 / 3) ** 2, 0.0], rtol=1e-5)
    assert metrics["mask_rate"] == 0.5


def test_missing_labels_are_not_kept_and_later_places_count():
    now = sight([1.0, 2.0, 3.0], (5, 5, 0), (10.0, np.nan), mask=(True, False))
    _, state, _ = update(METHOD, now, METHOD.init(SIZES))
    np.testing.assert_array_equal(state.labelled, [1, 0, 0, 0])
    np.testing.assert_array_equal(state.labels[:, 0], [10.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(state.outputs[:, 0], [3.0, 0.0, 0.0, 0.0, 0.0, 2.0])
    np.testing.assert_array_equal(state.predicted, [1, 0, 0, 0, 0, 1])


def test_without_labels_there_are_no_targets():
    state = METHOD.init(SIZES)
    for _ in range(3):
        now = sight([1.0, 2.0], (0, 1), mask=(False, False))
        loss, state, _ = update(METHOD, now, state)
    assert not state.aligned.any() and not loss.any()


def test_several_numbers_are_aligned_apart():
    method = RDA(every=1, ramp=0.0)
    state = method.init(DatasetSizes(2, 2, 2))
    now = sight([0.0, 1.0], (0, 1), [[1.0, 7.0], [2.0, 5.0]], (0, 1))
    now = now._replace(logits={"weak": np.array([[0.0, 4.0], [1.0, 3.0]], np.float32)})
    for _ in range(2):
        _, state, _ = update(method, now, state)
    np.testing.assert_allclose(state.targets, [[1.0, 7.0], [2.0, 5.0]])  # by hand.


def test_gradients_flow_into_the_outputs_alone():
    state = warm(METHOD, METHOD.init(SIZES))
    now = sight([1.0, 2.0], (0, 1))

    def total(outputs):
        loss, after, _ = METHOD.update(now._replace(logits={"weak": outputs}), state)
        return loss.sum() + after.outputs.sum()

    grad = jax.jit(jax.grad(total))(now.logits["weak"])
    np.testing.assert_allclose(grad, [[2.0], [4.0]])  # by hand: targets 0.
