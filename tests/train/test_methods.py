"""The step with every kind of balancing: what it is told, what it moves, and what it may not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation, nets, weighting
from mtl_jax.config.balance_options import BalanceOptions
from mtl_jax.config.execution import Execution
from mtl_jax.core.balancing import CrossGramWeighting, GramWeighting, LossWeighting
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from tests.small import RUN

ONE = jax.devices()[:1]


def trained(run, steps=2):
    """A state after some steps, and their mean metrics."""
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, ONE)
    return made.train_steps(made.init(None), made.put_data(prepared.train), steps)


def close(one, other, atol=1e-5):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=atol, rtol=1e-4)


@pytest.mark.slow
def test_the_answer_does_not_depend_on_the_chunk():
    run = RUN.replace(balance=aggregation.UPGrad())
    whole, _ = trained(run)
    for chunk in (1, 2):
        part, _ = trained(run.replace(execution=Execution(jacobian_chunk_size=chunk)))
        close(part.params, whole.params)


@dataclasses.dataclass(frozen=True)
class Ones(GramWeighting):
    """Equal weights at the price of K passes."""

    def init(self, num_tasks):
        return ()

    def weigh_gram(self, gram, state, key):
        return jnp.ones_like(gram[0]), state


@pytest.mark.parametrize("space", ["parameters", "representation"])
def test_weights_of_one_are_the_plain_sum_in_both_spaces(space):
    plain, seen = trained(RUN)
    same, metrics = trained(
        RUN.replace(balance=Ones(), balance_options=BalanceOptions(jacobian_wrt=space))
    )
    close(same.params, plain.params)
    np.testing.assert_allclose(metrics["loss/row"], seen["loss/row"], rtol=1e-5)


def test_the_spaces_differ_where_weights_do():
    run = RUN.replace(balance=aggregation.MGDA())
    one, _ = trained(run)
    other, _ = trained(run.replace(balance_options=BalanceOptions(jacobian_wrt="representation")))
    assert not np.allclose(jax.tree.leaves(one.params)[0], jax.tree.leaves(other.params)[0])


def test_one_trunk_a_task_has_no_shared_representation():
    run = RUN.replace(
        trunk=nets.PerTaskTrunk(RUN.trunk), balance=aggregation.MGDA(),
        balance_options=BalanceOptions(jacobian_wrt="representation"),
    )  # fmt: skip
    with pytest.raises(BadInput, match="balances trained shared parameters, there are none"):
        trained(run)


def test_heads_are_weighted_if_the_run_says_so():
    run = RUN.replace(balance=weighting.Constant((1.0, 0.0)))
    start = compile_run(run, load_run_data(run).train, ONE).init(None).params["tasks"]["heads"]
    for heads, still in (("paper", True), ("own", False)):
        state, _ = trained(run.replace(balance_options=BalanceOptions(head_gradients=heads)))
        moved = state.params["tasks"]["heads"]["column"]["kernel"]
        assert np.array_equal(moved, start["column"]["kernel"]) == still


@dataclasses.dataclass(frozen=True)
class Watcher(LossWeighting):
    """Keeps what it is told before and after the step."""

    def init(self, num_tasks):
        return jnp.zeros((2, num_tasks))

    def pre_step(self, losses, state):
        return state.at[0].set(losses)

    def weigh_losses(self, losses, state, key):
        return jnp.ones_like(losses), state

    def post_step(self, losses, state):
        return state.at[1].set(losses)


def test_losses_are_told_before_and_after_the_step_on_the_same_batch():
    state, metrics = trained(RUN.replace(balance=Watcher(), augmentation={"weak": None}), 1)
    before, after = np.moveaxis(np.asarray(state.balance_state), 1, 0)
    np.testing.assert_allclose(before[:, 0], metrics["loss/row"], rtol=1e-6)
    assert (after < before).all()  # One small step down on the batch that it was made for.


@dataclasses.dataclass(frozen=True)
class Crossed(CrossGramWeighting):
    """Keeps the products of the two other batches' gradients."""

    def init(self, num_tasks):
        return jnp.zeros((num_tasks, num_tasks))

    def weigh_cross(self, cross, state, key):
        return jnp.ones_like(cross[0]), cross


def test_two_more_batches_are_independent():
    state, _ = trained(RUN.replace(balance=Crossed()), 1)
    cross = np.asarray(state.balance_state)
    assert not np.allclose(cross, np.swapaxes(cross, 1, 2))
    assert (np.diagonal(cross, axis1=1, axis2=2) > 0).all()  # They agree, more or less.


def test_a_combiner_trains():
    state, metrics = trained(RUN.replace(balance=aggregation.GradDrop()), 5)
    assert np.isfinite(metrics["loss/row"]).all() and metrics["weight/row"].shape == (2,)
    assert np.isfinite(jax.tree.leaves(state.params)[0]).all()


def test_rows_that_are_kept_cannot_be_of_the_representation():
    run = RUN.replace(
        balance=aggregation.MoCo(), balance_options=BalanceOptions(jacobian_wrt="representation")
    )
    with pytest.raises(BadInput, match=r"balance_options\.jacobian_wrt must be 'parameters'"):
        trained(run)
    same = run.replace(balance=aggregation.GradDrop())
    assert np.isfinite(trained(same)[1]["loss/row"]).all()


@pytest.mark.parametrize("field", ["jacobian_wrt", "head_gradients", "rescale"])
def test_unknown_ways_of_weighing_are_named(field):
    with pytest.raises(BadInput, match=rf"BalanceOptions\.{field} must be one of .* not 'other'"):
        BalanceOptions(**{field: "other"})
