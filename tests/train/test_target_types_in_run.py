"""Runs of every kind of task: what is labelled, what their losses are, and what learns of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment, consistency, data, losses, metrics
from mtl_jax.config.cross_task import CrossTask, class_probabilities, encode_labels
from mtl_jax.config.task import Task
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.evaluated_models import models_of
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train import build_model
from mtl_jax.train.policy_update import label_probability, probability
from mtl_jax.transfer import Distillation
from tests.small import HEIGHT, ROW, RUN, part

BCE, MSE = losses.binary_cross_entropy, losses.squared_error
BINARY = Task(name="first", num_outputs=1, loss=BCE, metrics=(metrics.Accuracy(),))
MARKS = Task(name="marks", num_outputs=3, loss=BCE, metrics=(metrics.F1(),))
PAIR = Task(name="pair", num_outputs=2, loss=MSE, metrics=(metrics.MeanSquaredError(),))
KINDS = {
    "classes": ROW.replace(auxiliary=consistency.FixMatch(0.4)),
    "binary": BINARY.replace(auxiliary=consistency.MultiLabel(consistency.FixMatch(0.55))),
    "marks": MARKS.replace(auxiliary=consistency.MultiLabel(consistency.FixMatch(0.55))),
    "pair": PAIR.replace(auxiliary=consistency.RankUp(threshold=0.55)),
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
BASE = RUN.replace(
    data=DATA,
    labels={"num_labelled": None, "unlabelled_ratio": 1},
    num_seeds=1,
    augmentation={"strong": augment.Cutout(1)},
)


def advanced(run, steps=3):
    """The program of a run, its data, its state after some steps and their mean metrics."""
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, jax.devices()[:1])
    state, found = made.train_steps(made.init(None), made.put_data(prepared.train), steps)
    return made, prepared, state, jax.device_get(found)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_method_for_the_kind_learns(kind):
    task = KINDS[kind]
    made, prepared, state, found = advanced(BASE.replace(tasks=(task,)))
    known = prepared.train.streams[""].labelled.mask[task.name]
    wanted = DATA.train[task.name].reshape(96, -1)
    there = wanted >= 0 if wanted.dtype.kind == "i" else ~np.isnan(wanted)
    assert known.sum() == there.any(1).sum()
    assert found[f"unlabelled_loss/{task.name}"] > 0.0 < found[f"mask_rate/{task.name}"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, found)))
    judged = made.evaluate(models_of(BASE, state), prepared.splits)[0]["test"]["raw"][task.name][
        task.selection_metric.name
    ]
    assert np.isfinite(judged).all()


@pytest.mark.parametrize("task", [MARKS, PAIR], ids=lambda task: task.name)
def test_the_loss_of_a_step_is_of_the_known_entries(task):
    """All of the data in one batch: Open Graph Benchmark's masked mean, by NumPy."""
    labels = DATA.train[task.name]
    known = ~np.isnan(labels)
    run = BASE.replace(tasks=(task,), batch_size=int(known.any(1).sum()))
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, jax.devices()[:1])
    state = made.init(None)
    params = jax.tree.map(lambda leaf: leaf[0], jax.device_get(state.params))
    outputs, _ = build_model(run).apply(params, {}, DATA.train["inputs"], train=False)
    z = np.asarray(outputs.logits[task.name], np.float64)
    each = np.logaddexp(0.0, z) - labels * z if task is MARKS else (z - labels) ** 2
    _, found = made.train_steps(state, made.put_data(prepared.train), 1)
    np.testing.assert_allclose(found[f"loss/{task.name}"], each[known].mean(), rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        (
            {"augmentation": {"strong": augment.ctaugment_fixmatch(pixels=1)}, "tasks": (HEIGHT,)},
            "Run.augmentation.strong must not",
        ),
        (
            {
                "tasks": (ROW.replace(auxiliary=Distillation(1.0)),),
                "labels": {
                    "teachers": (
                        RUN.replace(
                            name="t", tasks=(ROW.replace(loss=MSE, metrics=HEIGHT.metrics),)
                        ),
                    )
                },
            },
            "Run.labels.teachers must teach 'row' by a loss for the same type",
        ),
    ],
)
def test_what_does_not_fit_a_run_is_refused(changes, rule):
    with pytest.raises(BadInput, match=rule.replace(".", r"\.")):
        RUN.replace(**changes)


def test_a_policy_learns_by_the_probability_of_every_kind_of_label():
    random = np.random.default_rng(0)
    tasks = [ROW, BINARY, MARKS, HEIGHT]
    logits = {t.name: random.normal(size=(4, t.num_outputs)).astype(np.float32) for t in tasks}
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
    found, count = jax.jit(lambda *a: label_probability(tasks, *a))(logits, labels, mask)
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


@pytest.mark.slow
def test_probabilities_for_a_loss_of_ones_own_go_by_its_labels():
    """Whole numbers are classes, with one output no and yes; other numbers have none."""

    def own(outputs, labels):
        return outputs.sum(-1) - labels

    there = jnp.ones(2, bool)
    one, three = (ROW.replace(loss=own, num_outputs=outputs) for outputs in (1, 3))
    z = jnp.array([[0.5], [2.0]])
    found = probability(one, z, jnp.array([1, 0]), there)
    np.testing.assert_allclose(found, [1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(2.0))], rtol=1e-6)
    z = jnp.log(jnp.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]))
    np.testing.assert_allclose(
        probability(three, z, jnp.array([2, 1]), there), [0.5, 0.8], rtol=1e-6
    )
    assert probability(three, z, jnp.array([2.0, 1.0]), there) is None
    half = probability(BINARY, jnp.array([[2.0], [2.0]]), jnp.array([0.5, 0.6]), there)
    np.testing.assert_allclose(half, [1 / (1 + np.exp(2.0)), 1 / (1 + np.exp(-2.0))], rtol=1e-6)


@pytest.mark.slow
def test_predictions_across_tasks_have_the_form_of_labels():
    said = jnp.array([[0.0], [100.0]])
    np.testing.assert_array_equal(class_probabilities(BINARY, said, jnp.zeros(2)), [[0.5], [1.0]])
    np.testing.assert_array_equal(class_probabilities(HEIGHT, said, jnp.zeros(2)), said)
    np.testing.assert_allclose(
        class_probabilities(MARKS, jnp.zeros((1, 3)), jnp.zeros((1, 3))), [[0.5] * 3]
    )
    labels, known = jnp.array([0, 1, 1]), jnp.array([True, True, False])
    np.testing.assert_array_equal(encode_labels(labels, known, 1), [[0.0], [1.0], [0.0]])
    run = BASE.replace(
        tasks=(ROW, BINARY, MARKS), extensions=(CrossTask(width=4),), labels={"partial": True}
    )
    _, _, state, found = advanced(run, 2)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((state.params, found)))
