"""Bilevel methods, schemes, proximal terms and affinities in the step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation, nets, optimizers, sharing
from mtl_jax.config.balance_options import BalanceOptions
from mtl_jax.config.task_schedule import AlternatingTasks, ProgressiveTasks
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.transfer import finetuning
from tests.small import RUN, UNLABELLED

ONE = jax.devices()[:1]
SGD = RUN.replace(optimizer=optimizers.SGD(0.1))
SOFT = SGD.replace(trunk=nets.PerTaskTrunk(RUN.trunk))


def going(run):
    """The program of a run, its first state and its data."""
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, ONE)
    return made, made.init(None), made.put_data(prepared.train)


def trained(run, steps=1):
    made, state, given = going(run)
    return made.train_steps(state, given, steps)


def still(one, other):
    return all(
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


def test_what_is_held_out_is_not_trained_on():
    run = RUN.replace(balance=aggregation.AutoLambda(held_out=0.25))
    stream = load_run_data(run).train.streams[""]
    for seed in range(2):
        assert not set(stream.labelled.index[seed]) & set(stream.held_out.index[seed])
        whole = load_run_data(RUN).train.streams[""].labelled.index[seed]
        both = np.concatenate([stream.labelled.index[seed], stream.held_out.index[seed]])
        np.testing.assert_array_equal(np.sort(both), whole)
    told = abstract_data(run).streams[""]
    assert told.labelled.index.shape == stream.labelled.index.shape == (2, 18)
    assert told.held_out.mask["row"].shape == stream.held_out.mask["row"].shape == (2, 6)


def test_a_bilevel_method_trains_and_its_weights_move():
    run = RUN.replace(balance=aggregation.AutoLambda(learning_rate=0.05))
    state, metrics = trained(run, 5)
    assert np.isfinite(metrics["loss/row"]).all()
    weights = np.asarray(state.balance_state.values)
    assert (np.abs(weights - 0.1) > 0.01).all() and not np.allclose(weights[0], weights[1])


@pytest.mark.slow
def test_held_out_examples_are_judged_without_unlabelled_ones():
    run = UNLABELLED.replace(balance=aggregation.MOML())
    state, metrics = trained(run, 3)
    assert np.isfinite(metrics["loss/row"]).all() and np.isfinite(state.balance_state.values).all()


def test_too_few_labels_to_hold_some_out_are_named():
    run = RUN.replace(labels={"num_labelled": None}, balance=aggregation.MOML(held_out=0.999))
    with pytest.raises(BadInput, match=r"labelled must leave some beside 96 held out, not 96"):
        abstract_data(run)


@pytest.mark.parametrize("run", [SGD, SOFT], ids=["hard", "soft"])
def test_alternating_trains_one_task_a_step(run):
    _, start, _ = going(run)
    begin = jax.device_get(start.params["tasks"])
    state, metrics = trained(run.replace(task_schedule=AlternatingTasks()), 1)
    heads = state.params["tasks"]["heads"]
    assert still(heads["column"], begin["heads"]["column"])
    assert not still(heads["row"], begin["heads"]["row"])
    np.testing.assert_array_equal(metrics["weight/column"], 0.0)
    if run is SOFT:
        for leaf, was in zip(
            jax.tree.leaves(state.params["tasks"]["trunk"]),
            jax.tree.leaves(begin["trunk"]),
            strict=True,
        ):
            np.testing.assert_array_equal(leaf[:, 1], was[:, 1])


@pytest.mark.parametrize("optimizer", [SGD.optimizer, optimizers.Adam(0.01)], ids=["sgd", "adam"])
def test_a_task_that_waits_keeps_its_head_and_its_moments(optimizer):
    run = SGD.replace(task_schedule=AlternatingTasks(), optimizer=optimizer)
    once, _ = trained(run, 1)
    twice, _ = trained(run, 2)

    def heads(tree, name):
        found = jax.tree_util.tree_leaves_with_path(tree)
        return [
            leaf for path, leaf in found if f"['heads']['{name}']" in jax.tree_util.keystr(path)
        ]

    for tree in ("params", "opt_state"):
        one, two = getattr(once, tree), getattr(twice, tree)
        assert len(heads(one, "row")) >= 2 and still(heads(one, "row"), heads(two, "row"))
        assert not still(heads(one, "column"), heads(two, "column"))


def test_the_scale_counts_only_tasks_that_train():
    run = SGD.replace(task_schedule=AlternatingTasks())
    plain, _ = trained(run, 1)
    mean, metrics = trained(run.replace(balance_options=BalanceOptions(rescale="mean")), 1)
    np.testing.assert_allclose(metrics["weight/row"], 1.0)
    assert still(mean.params["shared"], plain.params["shared"])


def test_tasks_that_have_all_entered_train_as_ever():
    one, _ = trained(SGD.replace(task_schedule=ProgressiveTasks((0.0, 0.0))), 2)
    assert still(one.params, trained(SGD, 2)[0].params)


def test_a_scheme_needs_weights_of_losses():
    with pytest.raises(BadInput, match=r"Run\.task_schedule needs a balance that weighs losses"):
        RUN.replace(task_schedule=AlternatingTasks(), balance=aggregation.MGDA())


@pytest.mark.parametrize(
    "term", [sharing.GroupL21(2.0), sharing.GroupL1Inf(2.0), sharing.TraceNorm(15.0)], ids=str
)
def test_a_proximal_step_reaches_zero_where_a_gradient_does_not(term):
    kernel = trained(SOFT.replace(regularization={"proximal": (term,)}), 4)[0].params["tasks"][
        "trunk"
    ]["Dense_0"]["kernel"]
    pushed = trained(SOFT.replace(regularization={"penalties": (term,)}), 4)[0].params["tasks"][
        "trunk"
    ]["Dense_0"]["kernel"]
    rows = np.asarray(kernel[0]).reshape(2, -1)
    if isinstance(term, sharing.TraceNorm):
        assert np.linalg.svd(rows, compute_uv=False)[-1] < 1e-5
        assert np.linalg.svd(np.asarray(pushed[0]).reshape(2, -1), compute_uv=False)[-1] > 1e-3
    else:
        assert (np.abs(rows).max(0) == 0).mean() > 0.3
        assert (np.abs(pushed) == 0).mean() < 0.01


@pytest.mark.slow
def test_affinities_by_hand():
    run = SGD.replace(
        labels={"num_labelled": None},
        batch_size=96,
        augmentation={"weak": None},
        evaluation={"measure_affinity": True},
    )
    made, state, given = going(run)
    found = made.affinity(state, given)
    assert found["cosine"].shape == found["lookahead"].shape == (2, 2, 2)
    np.testing.assert_allclose(np.diagonal(found["cosine"], axis1=1, axis2=2), 1.0, rtol=1e-5)
    # A step for the first task alone, the heads as they were.
    alone = run.replace(
        task_schedule=ProgressiveTasks((0.0, 0.5)), optimizer=optimizers.SGD(0.1, momentum=0.0)
    )
    other, begin, data = going(alone)
    start = jax.device_get(begin.params)
    moved, before = other.train_steps(begin, data, 1)
    params = {**moved.params, "tasks": start["tasks"]}
    _, after = made.train_steps(moved._replace(params=jax.tree.map(jnp.asarray, params)), given, 1)
    for name, place in (("row", 0), ("column", 1)):
        fall = 1.0 - after[f"loss/{name}"] / before[f"loss/{name}"]
        np.testing.assert_allclose(found["lookahead"][:, 0, place], fall, atol=2e-5)


def test_terms_without_a_proximal_step_are_refused():
    with pytest.raises(
        BadInput, match=r"Regularization\.proximal must be a tuple, each item a Proximal"
    ):
        SOFT.replace(regularization={"proximal": (sharing.MeanL2(1.0),)})


@pytest.mark.parametrize(
    "changes",
    [{"evaluation": {"measure_affinity": True}}, {"balance": aggregation.MGDA()}],
    ids=str,
)
def test_frozen_shared_parameters_are_none_to_balance(changes):
    with pytest.raises(BadInput, match=r"trained shared parameters, there are none"):
        going(RUN.replace(param_rules=finetuning.feature_extraction(), **changes))


def test_affinities_need_shared_parameters():
    with pytest.raises(
        BadInput, match=r"Evaluation.measure_affinity needs trained shared parameters"
    ):
        going(SOFT.replace(evaluation={"measure_affinity": True}))
