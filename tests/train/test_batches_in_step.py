"""What the step asks of which examples, and at what rate: each by a gradient of its own."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mtl_jax import aggregation, nets, optimizers, sharing, weighting
from mtl_jax.core.balancing import BilevelWeighting, CrossGramWeighting
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_types import stream_key
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train.batch import sample_labelled
from mtl_jax.train.views import as_float
from tests.small import RUN

ONE = jax.devices()[:1]
RATE = 0.3
NAMES = ("row", "column")
PLAIN = RUN.replace(optimizer=optimizers.SGD(RATE, momentum=0.0), num_seeds=1)


@dataclasses.dataclass(frozen=True)
class Asked(BilevelWeighting):
    """Remembers the held-out losses after steps with two sets of weights; weighs alike."""

    held_out: float = 0.5

    def init(self, num_tasks):
        return jnp.zeros((3, num_tasks))

    def weigh_outer(self, outer, state, key):
        tried = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.5, 2.0]])
        return jnp.ones(2), jnp.stack([outer(weights) for weights in tried])


@dataclasses.dataclass(frozen=True)
class Crossed(CrossGramWeighting):
    """Remembers the inner products of two batches; weighs alike."""

    def init(self, num_tasks):
        return jnp.zeros((num_tasks, num_tasks))

    def weigh_cross(self, cross, state, key):
        return jnp.ones(len(cross)), cross


def begun(run):
    """The program of a run, its first state and its data, and the data on the host."""
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, ONE)
    return made, made.init(None), made.put_data(prepared.train), prepared.train.streams[""]


@jax.jit
def losses_of(params, stream, rows):
    """The tasks' losses on some examples, without the step's own code."""
    features = RUN.trunk.apply({"params": params["shared"]}, stream.inputs[rows], train=False)
    heads = params["tasks"]["heads"]

    def loss(name):
        logits = features @ heads[name]["kernel"] + heads[name]["bias"][None]
        truth = stream.labels[name][rows]
        return optax.softmax_cross_entropy_with_integer_labels(logits, truth).mean()

    return jnp.stack([loss(name) for name in NAMES])


SLOPES = jax.jit(jax.jacrev(losses_of))


def first_of(tree):
    """The only seed's part."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], tree)


@pytest.mark.slow
def test_a_bilevel_method_is_told_of_held_out_labels_after_a_step_down():
    """All twelve of each kind make one batch, so nothing hangs on the order."""
    made, state, given, stream = begun(PLAIN.replace(balance=Asked(), batch_size=12))
    start = first_of(jax.device_get(state.params))
    known, held = (np.asarray(part.index[0]) for part in (stream.labelled, stream.held_out))
    assert len(known) == len(held) == 12
    after, _ = made.train_steps(state, given, 1)
    found = first_of(after.balance_state)
    slopes = SLOPES(start, stream, known)
    for weights, told in zip(([0.0, 0.0], [1.0, 0.0], [0.5, 2.0]), found, strict=True):
        moved = jax.tree.map(
            lambda leaf, slope, w=weights: leaf - RATE * jnp.tensordot(jnp.array(w), slope, 1),
            start,
            slopes,
        )
        np.testing.assert_allclose(told, losses_of(moved, stream, held), rtol=1e-4)
    assert np.abs(found[0] - losses_of(start, stream, known)).max() > 0.01


def test_weights_go_where_the_held_out_losses_fall():
    """By finite differences of the losses after a step: the first step of Adam is a sign."""
    method = aggregation.AutoLambda(held_out=0.5, learning_rate=1e-3)
    made, state, given, stream = begun(PLAIN.replace(balance=method, batch_size=12))
    start = first_of(jax.device_get(state.params))
    known, held = (np.asarray(part.index[0]) for part in (stream.labelled, stream.held_out))
    slopes = SLOPES(start, stream, known)

    def after_step(weights):
        moved = jax.tree.map(
            lambda leaf, slope: leaf - RATE * jnp.tensordot(weights, slope, 1), start, slopes
        )
        return np.asarray(losses_of(moved, stream, held), "float64").sum()

    before = np.asarray(first_of(jax.device_get(state.balance_state)).values)
    moved = np.asarray(first_of(made.train_steps(state, given, 1)[0].balance_state).values) - before
    for task in range(2):
        weights = jnp.full(2, 0.1).at[task].add(0.05)
        fall = after_step(jnp.full(2, 0.1)) - after_step(weights)
        np.testing.assert_allclose(moved[task], 1e-3 * np.sign(fall), rtol=1e-2)


@pytest.mark.slow
def test_the_three_batches_of_a_step_share_no_example():
    made, state, given, stream = begun(PLAIN.replace(balance=Crossed()))
    start, first = (first_of(jax.device_get(part)) for part in (state.params, state))
    known = jax.tree.map(lambda leaf: jnp.asarray(leaf)[0], stream.labelled)
    key = fold_in_name(stream_key(first.key, ""), "labelled")
    taken = [
        np.asarray(sample_labelled(PLAIN, stream, known, key, jnp.int32(number)).places)
        for number in range(3)
    ]
    np.testing.assert_array_equal(np.sort(np.concatenate(taken)), np.sort(known.index))
    after, _ = made.train_steps(state, given, 1)
    slopes = [SLOPES(start, stream, rows) for rows in taken]
    one, other = (
        np.concatenate([np.reshape(leaf, (2, -1)) for leaf in jax.tree.leaves(s["shared"])], 1)
        for s in slopes[1:]
    )
    found = np.asarray(first_of(after.balance_state))
    np.testing.assert_allclose(found, one @ other.T, rtol=1e-3, atol=1e-6)
    assert np.abs(found - found.T).max() > 1e-4  # Of one batch it would be symmetric.
    moved = jax.tree.map(lambda leaf, slope: leaf - RATE * slope.sum(0), start, slopes[0])
    for leaf, wanted in zip(
        jax.tree.leaves(first_of(after.params)), jax.tree.leaves(moved), strict=True
    ):
        np.testing.assert_allclose(leaf, wanted, rtol=1e-3, atol=1e-5)


def shrunk_rows(rows, amount):
    """Columns of `[K, D]` made shorter by an amount, or zero: the proximal map of L2,1."""
    lengths = np.linalg.norm(rows, axis=0)
    return rows * np.maximum(1.0 - amount / np.maximum(lengths, 1e-12), 0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "rate", [0.1, optimizers.CosineSchedule(0.1, cycles=0.5)], ids=["constant", "cosine"]
)
def test_a_proximal_step_is_of_the_rate_of_its_step(rate):
    run = PLAIN.replace(
        trunk=nets.PerTaskTrunk(RUN.trunk), optimizer=optimizers.SGD(rate, momentum=0.0)
    )
    steps = []
    for each in (run, run.replace(regularization={"proximal": (sharing.GroupL21(1.5),)})):
        made, state, given, _ = begun(run)
        state, _ = made.train_steps(state, given, 4)  # Alike for both, of 8.
        steps.append(begun(each)[0].train_steps(state, given, 1)[0])
    now = 0.1 if rate == 0.1 else 0.1 * np.cos(np.pi * 0.5 * 4 / 8)
    kernels = [np.asarray(s.params["tasks"]["trunk"]["Dense_0"]["kernel"])[0] for s in steps]
    wanted = shrunk_rows(kernels[0].reshape(2, -1), now * 1.5).reshape(kernels[0].shape)
    np.testing.assert_allclose(kernels[1], wanted, rtol=1e-4, atol=1e-6)
    assert 0.02 < (kernels[1] == 0).mean() < 0.98


def test_the_mean_of_batches_is_what_equal_weights_follow():
    """A check of the check: one plain step by hand, heads too."""
    made, state, given, stream = begun(PLAIN.replace(balance=weighting.Equal(), batch_size=24))
    start = first_of(jax.device_get(state.params))
    slopes = SLOPES(start, stream, np.asarray(stream.labelled.index[0]))
    moved = jax.tree.map(lambda leaf, slope: leaf - RATE * slope.sum(0), start, slopes)
    after, _ = made.train_steps(state, given, 1)
    for leaf, wanted in zip(
        jax.tree.leaves(first_of(after.params)), jax.tree.leaves(moved), strict=True
    ):
        np.testing.assert_allclose(leaf, wanted, rtol=1e-3, atol=1e-5)


def test_bytes_come_to_the_unit_interval_and_tokens_stay():
    found = as_float(jnp.array([0, 51, 255], jnp.uint8))
    np.testing.assert_allclose(found, np.array([0.0, 0.2, 1.0], np.float32), rtol=1e-6)
    assert found.dtype == jnp.float32
    tokens = jnp.array([0, 300], jnp.int32)
    assert as_float(tokens) is tokens
    np.testing.assert_array_equal(as_float(jnp.array([0.5, 300.0], jnp.bfloat16)), [0.5, 300.0])
