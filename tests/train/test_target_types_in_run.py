"""Runs of every kind of task: what is labelled, what their losses are, and what learns of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment, consistency, data, losses, metrics
from mtl_jax.config.cross_task import CrossTask
from mtl_jax.config.run import Task
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.compiled_run import program
from mtl_jax.storage.run_data import prepare
from mtl_jax.train import net_of
from mtl_jax.train.cross_task_loss import as_outputs, predicted
from mtl_jax.train.policy_update import recognised
from mtl_jax.transfer import Distillation
from tests.small import HEIGHT, ROW, RUN, part

BCE, MSE = losses.binary_cross_entropy, losses.squared_error
BINARY = Task(name="first", outputs=1, loss=BCE, metric=metrics.Accuracy())
MARKS = Task(name="marks", outputs=3, loss=BCE, metric=metrics.F1())
PAIR = Task(name="pair", outputs=2, loss=MSE, metric=metrics.MeanSquaredError())
KINDS = {
    "classes": ROW.but(consistency=consistency.FixMatch(0.4)),
    "binary": BINARY.but(consistency=consistency.PerLabel(consistency.FixMatch(0.55))),
    "marks": MARKS.but(consistency=consistency.PerLabel(consistency.FixMatch(0.55))),
    "pair": PAIR.but(consistency=consistency.RankUp(threshold=0.55)),
}


def told(count, seed):
    """The small problem with yes or no, and vectors of which two thirds are missing."""
    arrays, random = part(count, seed), np.random.default_rng(seed)
    row, column = arrays["row"], arrays["column"]
    marks = np.eye(3, dtype=np.float32)[row]
    pair = np.stack([row, column], 1).astype(np.float32) / 2
    gaps = random.random((count, 3)) < 2 / 3
    return {
        **arrays,
        "first": (row == 0).astype(np.float32),
        "marks": np.where(gaps, np.nan, marks),
        "pair": np.where(gaps[:, :2], np.nan, pair),
    }


DATA = data.Arrays(told(96, 0), told(40, 1), told(40, 2))
BASE = RUN.but(data=DATA, labelled=None, seeds=1, unlabelled_ratio=1, strong=augment.Cutout(1))


def advanced(run, steps=3):
    """The program of a run, its data, its state after some steps and their mean metrics."""
    prepared = prepare(run)
    made = program(run, prepared.given, jax.devices()[:1])
    state, found = made.advance(made.init(None), made.given(prepared.given), steps)
    return made, prepared, state, jax.device_get(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_for_the_kind_learns(kind):
    task = KINDS[kind]
    made, prepared, state, found = advanced(BASE.but(tasks=(task,)))
    known = prepared.given.streams[""].known.mask[task.name]
    wanted = DATA.train[task.name].reshape(96, -1)
    there = wanted >= 0 if wanted.dtype.kind == "i" else ~np.isnan(wanted)
    assert known.sum() == there.any(1).sum()
    assert found[f"unlabelled_loss/{task.name}"] > 0.0 < found[f"mask_rate/{task.name}"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, found)))
    judged = made.judge(state, prepared.splits)[0]["test"]["raw"][task.name][task.metric.name]
    assert np.isfinite(judged).all()


@pytest.mark.parametrize("task", [MARKS, PAIR], ids=lambda task: task.name)
def test_the_loss_of_a_step_is_of_the_known_entries(task):
    """All of the data in one batch: Open Graph Benchmark's masked mean, by NumPy."""
    labels = DATA.train[task.name]
    known = ~np.isnan(labels)
    run = BASE.but(tasks=(task,), batch=int(known.any(1).sum()))
    prepared = prepare(run)
    made = program(run, prepared.given, jax.devices()[:1])
    state = made.init(None)
    params = jax.tree.map(lambda leaf: leaf[0], jax.device_get(state.params))
    outputs, _ = net_of(run).apply(params, {}, DATA.train["image"], train=False)
    z = np.asarray(outputs.logits[task.name], np.float64)
    each = np.logaddexp(0.0, z) - labels * z if task is MARKS else (z - labels) ** 2
    _, found = made.advance(state, made.given(prepared.given), 1)
    np.testing.assert_allclose(found[f"loss/{task.name}"], each[known].mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        (
            {"strong": augment.ctaugment_fixmatch(pixels=1), "tasks": (HEIGHT,)},
            "Run.strong must not",
        ),
        (
            {
                "tasks": (ROW.but(consistency=Distillation(1.0)),),
                "teachers": (RUN.but(name="t", tasks=(ROW.but(loss=MSE, metric=HEIGHT.metric),)),),
            },
            "Run.teachers must teach 'row' by a loss for the same type",
        ),
    ],
)
def test_what_does_not_fit_a_run_is_refused(changes, rule):
    with pytest.raises(BadInput, match=rule.replace(".", r"\.")):
        RUN.but(**changes)


def test_a_policy_learns_by_the_probability_of_every_kind_of_label():
    random = np.random.default_rng(0)
    tasks = [ROW, BINARY, MARKS, HEIGHT]
    logits = {t.name: random.normal(size=(4, t.outputs)).astype(np.float32) for t in tasks}
    nan = np.nan
    labels = {
        "row": np.array([0, 2, -1, 1], np.int32),
        "first": np.array([1, 0, 1, nan], np.float32),
        "marks": np.array([[1, 0, nan], [nan] * 3, [0, 1, 1], [nan, nan, 0]], np.float32),
        "height": np.zeros(4, np.float32),
    }
    mask = {
        "row": labels["row"] >= 0,
        "first": ~np.isnan(labels["first"]),
        "marks": ~np.isnan(labels["marks"]).all(1),
        "height": np.ones(4, bool),
    }
    found, count = jax.jit(lambda *a: recognised(tasks, *a))(logits, labels, mask)
    z = {name: each.astype(np.float64) for name, each in logits.items()}
    soft = np.exp(z["row"]) / np.exp(z["row"]).sum(1, keepdims=True)
    yes, marked = (1.0 / (1.0 + np.exp(-z[name])) for name in ("first", "marks"))
    marks = np.where(labels["marks"] == 1, marked, 1.0 - marked)
    marks = np.where(np.isnan(labels["marks"]), nan, marks)
    each = [
        [soft[0, 0], yes[0, 0], np.nanmean(marks[0])],
        [soft[1, 2], 1.0 - yes[1, 0]],
        [yes[2, 0], np.nanmean(marks[2])],
        [soft[3, 1], np.nanmean(marks[3])],
    ]
    np.testing.assert_array_equal(count, [len(some) for some in each])
    np.testing.assert_allclose(found, [np.mean(some) for some in each], rtol=1e-5)


def test_predictions_across_tasks_have_the_form_of_labels():
    said = jnp.array([[0.0], [100.0]])
    np.testing.assert_array_equal(predicted(BINARY, said, jnp.zeros(2)), [[0.5], [1.0]])
    np.testing.assert_array_equal(predicted(HEIGHT, said, jnp.zeros(2)), said)
    np.testing.assert_allclose(predicted(MARKS, jnp.zeros((1, 3)), jnp.zeros((1, 3))), [[0.5] * 3])
    labels, known = jnp.array([0, 1, 1]), jnp.array([True, True, False])
    np.testing.assert_array_equal(as_outputs(labels, known, 1), [[0.0], [1.0], [0.0]])
    run = BASE.but(tasks=(ROW, BINARY, MARKS), cross_task=CrossTask(width=4), partial=True)
    _, _, state, found = advanced(run, 2)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, found)))
