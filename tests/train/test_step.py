"""The step: golden values, seeds and devices side by side, freezing, missing labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import (
    aggregation,
    consistency,
    data,
    nets,
    optimizers,
    sharing,
    train,
    transfer,
    weighting,
)
from mtl_jax.config.execution import Execution
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.transfer import finetuning
from tests.small import COLUMN, HEIGHT, ROW, RUN, UNLABELLED

ONE = jax.devices()[:1]


def trained(run, steps=3, devices=ONE, source=None):
    """A state after some steps, and their mean metrics."""
    prepared = load_run_data(run)
    made = compile_run(run, jax.eval_shape(lambda: prepared.train), devices)
    state = made.init(source)
    start = train.SourceModel(state.params, state.batch_stats)
    anchor = jax.tree.map(jnp.copy, start) if source is not None else None
    return made.train_steps(
        state, made.put_data(prepared.train._replace(source_model=anchor)), steps
    )


def close(one, other, atol=1e-6):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, atol=atol, rtol=1e-5)


@pytest.mark.slow
def test_tokens_reach_a_net_as_whole_numbers():
    def texts(count, seed):
        rows = np.random.default_rng(seed).integers(3, size=count).astype(np.int32)
        return {"inputs": np.stack([rows + 1, rows * 0 + 7, rows * 0], 1), "row": rows}

    bert = nets.BERT(vocabulary=9, width=8, depth=1, heads=2, hidden=8, places=3)
    run = RUN.replace(
        data=data.Arrays(texts(24, 0), texts(8, 1), texts(8, 2)),
        tasks=(ROW.replace(auxiliary=consistency.MeanTeacher()),),
        trunk=bert,
        optimizer=optimizers.Adam(0.05),
        augmentation={"strong": None},
        labels={"num_labelled": 12},
        steps=20,
    )
    state, metrics = trained(run, 20)
    shapes = {leaf.shape for leaf in jax.tree.leaves(state.params["shared"]["embed"])}
    assert (2, 9, 8) in shapes and metrics["loss/row"].max() < 1.0  # By chance, log 3.


def test_one_step_of_gradient_descent_by_hand():
    """One linear task, full batch, no augmentation: the step is numpy's own."""
    run = RUN.replace(
        tasks=(ROW,), augmentation={"weak": None}, labels={"num_labelled": None}, batch_size=96, num_seeds=1,
        optimizer=optimizers.SGD(0.5, momentum=0.0),
    )  # fmt: skip
    prepared = load_run_data(run)
    made = compile_run(run, jax.eval_shape(lambda: prepared.train), ONE)
    start = jax.device_get(made.init(None).params)
    state, metrics = made.train_steps(made.init(None), made.put_data(prepared.train), 1)
    trunk = jax.tree.map(lambda leaf: leaf[0], start["shared"]["Dense_0"])
    head = jax.tree.map(lambda leaf: leaf[0], start["tasks"]["heads"]["row"])
    x = prepared.train.streams[""].inputs.reshape(96, -1).astype(np.float64)
    hidden = np.maximum(x @ trunk["kernel"] + trunk["bias"], 0.0)
    logits = hidden @ head["kernel"] + head["bias"]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    hot = np.eye(3)[prepared.train.streams[""].labels["row"]]
    np.testing.assert_allclose(metrics["loss/row"], -np.log((p * hot).sum(1)).mean(), rtol=1e-5)
    back = (p - hot) / 96
    moved = state.params["tasks"]["heads"]["row"]["kernel"][0]
    np.testing.assert_allclose(moved, head["kernel"] - 0.5 * hidden.T @ back, atol=1e-6)
    inner = (back @ head["kernel"].T) * (hidden > 0)
    moved = state.params["shared"]["Dense_0"]["kernel"][0]
    np.testing.assert_allclose(moved, trunk["kernel"] - 0.5 * x.T @ inner, atol=1e-6)


@pytest.mark.parametrize("run", [RUN, UNLABELLED], ids=lambda run: run.name)
def test_seeds_side_by_side_are_separate_runs(run):
    state, metrics = trained(run)
    for seed in range(2):
        alone, seen = trained(run.replace(num_seeds=1, first_seed=seed))
        one = jax.tree.map(lambda leaf, s=seed: leaf[s], (state.params, state.batch_stats, metrics))
        close(jax.tree.map(lambda leaf: leaf[0], (alone.params, alone.batch_stats, seen)), one)


def test_seeds_differ():
    state, _ = trained(RUN)
    kernel = state.params["shared"]["Dense_0"]["kernel"]
    assert not np.allclose(kernel[0], kernel[1])


CONVOLUTION = RUN.replace(trunk=nets.CNN((4, 4)), balance=aggregation.UPGrad())


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [Execution(step_loop="unroll"), Execution(seed_loop="unroll"), Execution(seed_loop="map"),
     Execution(jacobian_loop="unroll"), Execution(jacobian_chunk_size=1)],
    ids=str,
)  # fmt: skip
def test_results_do_not_depend_on_dispatch(how):
    run = RUN.replace(balance=aggregation.UPGrad())
    close(trained(run.replace(execution=how))[0].params, trained(run)[0].params, 1e-5)


@pytest.mark.slow
def test_a_convolution_is_dispatched_unrolled_and_comes_out_the_same():
    state, _ = trained(CONVOLUTION, 2)
    other, _ = trained(CONVOLUTION.replace(execution=Execution()), 2)
    close((state.params, state.batch_stats), (other.params, other.batch_stats), 2e-5)


@pytest.mark.parametrize(
    "run", [UNLABELLED, CONVOLUTION.replace(execution=Execution())], ids=["mlp", "cnn"]
)
def test_sharded_over_four_devices_is_unsharded(run):
    alone, seen = trained(run)
    spread, metrics = trained(run, devices=jax.devices()[:4])
    some = jax.tree.leaves(spread.params)[0]
    assert len(some.sharding.device_set) == 4
    close(
        (alone.params, alone.batch_stats, seen), (spread.params, spread.batch_stats, metrics), 2e-5
    )


@pytest.mark.slow
def test_frozen_trunk_is_not_differentiated_and_keeps_its_statistics():
    run = RUN.replace(trunk=nets.MLP((12,), batch_norm=True), optimizer=optimizers.Adam(0.01))
    before, _ = trained(run, 2)
    frozen = run.replace(
        param_rules=finetuning.feature_extraction(),
        initialization={"init_from": run},
        name="frozen",
    )
    source = jax.device_get((before.params, before.batch_stats))
    after, _ = trained(frozen, 3, source=source)
    close(after.params["shared"], source[0]["shared"], 0.0)
    close(after.batch_stats, source[1], 0.0)
    heads = jax.tree.leaves(after.params["tasks"])
    moments = [leaf for leaf in jax.tree.leaves(after.opt_state) if leaf.ndim > 1]
    assert sum(leaf.size for leaf in moments) == 2 * sum(leaf.size for leaf in heads)
    moving, _ = trained(frozen.replace(param_rules=()), 3, source=source)
    assert not np.allclose(jax.tree.leaves(moving.batch_stats)[0], jax.tree.leaves(source[1])[0])


@pytest.mark.slow
def test_only_the_frozen_layer_keeps_its_statistics():
    run = RUN.replace(
        trunk=nets.MLP((12, 8), batch_norm=True),
        param_rules=(ParamRule("shared/(Dense|BatchNorm)_0/.*", frozen=True), ParamRule(".*")),
    )
    start, _ = trained(run, 1)
    state, _ = trained(run, 3)
    close(state.batch_stats["BatchNorm_0"], start.batch_stats["BatchNorm_0"], 0.0)
    assert not np.allclose(
        state.batch_stats["BatchNorm_1"]["mean"], start.batch_stats["BatchNorm_1"]["mean"]
    )


def test_a_pattern_that_freezes_nothing_is_refused():
    with pytest.raises(BadInput, match=r"pattern 'shred/.*' matches no parameter"):
        trained(RUN.replace(param_rules=(ParamRule("shred/.*", frozen=True), ParamRule(".*"))))


def test_the_task_without_a_label_gets_no_gradient():
    run = RUN.replace(labels={"partial": True})
    prepared = load_run_data(run)
    stream = prepared.train.streams[""]
    mask = stream.labelled.mask
    np.testing.assert_array_equal(mask["row"], ~mask["column"])
    none = {"row": np.zeros_like(mask["row"]), "column": np.ones_like(mask["row"])}
    made = compile_run(run, jax.eval_shape(lambda: prepared.train), ONE)
    start = jax.device_get(made.init(None).params["tasks"])
    blind = stream._replace(labelled=stream.labelled._replace(mask=none))
    given = made.put_data(prepared.train._replace(streams={"": blind}))
    state, metrics = made.train_steps(made.init(None), given, 2)
    np.testing.assert_array_equal(metrics["loss/row"], 0.0)
    close(state.params["tasks"]["heads"]["row"], start["heads"]["row"], 0.0)
    assert not np.allclose(
        state.params["tasks"]["heads"]["column"]["kernel"], start["heads"]["column"]["kernel"]
    )


def test_a_regression_task_learns_beside_a_classification():
    run = RUN.replace(
        tasks=(ROW, HEIGHT), labels={"num_labelled": None}, balance=weighting.Uncertainty()
    )
    _, first = trained(run, 1)
    _, later = trained(run, 40)
    assert (later["loss/height"] < first["loss/height"]).all()
    assert (later["loss/row"] < first["loss/row"]).all()


def test_one_trunk_a_task_shares_nothing_without_a_penalty():
    soft = RUN.replace(trunk=nets.PerTaskTrunk(nets.MLP((12,))))
    state, _ = trained(soft, 3)
    assert state.params["shared"] == {}
    pulled, _ = trained(soft.replace(regularization={"penalties": (sharing.MeanL2(1.0),)}), 3)
    distance = [
        np.abs(np.diff(s.params["tasks"]["trunk"]["Dense_0"]["kernel"], axis=1)).mean()
        for s in (state, pulled)
    ]
    assert distance[1] < 0.9 * distance[0]
    with pytest.raises(BadInput, match="there are none"):
        trained(soft.replace(balance=aggregation.PCGrad()))


def test_l2_sp_holds_to_the_source():
    source = jax.device_get(trained(RUN, 2)[0])
    source = (source.params, source.batch_stats)
    run = RUN.replace(name="target", initialization={"init_from": RUN})
    free, _ = trained(run, 6, source=source)
    held, _ = trained(
        run.replace(regularization={"penalties": (transfer.L2SP(10.0),)}), 6, source=source
    )
    far = [
        sum(
            np.square(a - b).sum()
            for a, b in zip(
                jax.tree.leaves(s.params["shared"]),
                jax.tree.leaves(source[0]["shared"]),
                strict=True,
            )
        )
        for s in (free, held)
    ]
    assert far[1] < 0.5 * far[0]
    with pytest.raises(BadInput, match="needs initial values of a source model: a run with"):
        trained(RUN.replace(regularization={"penalties": (transfer.L2SP(1.0),)}))


def test_a_source_of_another_width_is_refused():
    source = jax.device_get(trained(RUN.replace(trunk=nets.MLP((10,))), 1)[0])
    with pytest.raises(BadInput, match="Dense_0/kernel"):
        trained(RUN, source=(source.params, source.batch_stats))


def test_average_follows_the_parameters():
    state, _ = trained(RUN, 3)
    prepared = load_run_data(RUN)
    made = compile_run(RUN, jax.eval_shape(lambda: prepared.train), ONE)
    by_hand = made.init(None)
    given, ema = made.put_data(prepared.train), None
    for step in range(3):
        momentum = min(0.9, (1 + step) / (10 + step))
        ema = jax.device_get(by_hand.params) if ema is None else ema
        by_hand, _ = made.train_steps(by_hand, given, 1)
        ema = jax.tree.map(
            lambda a, b, m=momentum: m * a + (1 - m) * b, ema, jax.device_get(by_hand.params)
        )
    close(state.ema, ema, 1e-6)


def test_columns_learn():
    _, metrics = trained(RUN.replace(tasks=(COLUMN,), labels={"num_labelled": None}), 60)
    assert (metrics["loss/column"] < 1.0).all()
