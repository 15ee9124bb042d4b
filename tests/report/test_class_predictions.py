"""Predictions on test data, and the figures of them, against the metrics and scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.decomposition import PCA

from mtl_jax import data, losses, metrics, nets
from mtl_jax.config.experiment import Experiment
from mtl_jax.report import class_predictions, expert_use, figures, layer_outputs
from mtl_jax.report.calibration import plot_calibration, reliability
from mtl_jax.report.class_predictions import ClassPredictions, as_classes, labelled_sample
from mtl_jax.report.confusion import confusion_matrix, plot_confusion
from mtl_jax.report.embedding import are_domains, plot_embedding, principal_components
from mtl_jax.report.expert_use import gates_of, plot_expert_use
from mtl_jax.report.mistakes import arrow, mistakes_of, plot_mistakes
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import build_model
from tests import dense
from tests.figure_text import faults
from tests.small import COLUMN, HEIGHT, ROW, RUN, UNLABELLED

LONG = "a run with a rather long name, cosine schedule, five hundred labels and $ signs_"


def made(count=300, seed=0, run=RUN, task=ROW, positions=()):
    """Predictions by hand, a tenth of whose labels are missing."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=(count, *positions))
    logits = rng.normal(size=(*labels.shape, 3)) + 2.0 * np.eye(3)[labels]
    labels[rng.random(labels.shape) < 0.1] = -1
    return ClassPredictions(
        run,
        task,
        rng.random((count, 6, 6, 1)).astype(np.float32),
        labels,
        np.asarray(jax.nn.softmax(logits)).astype(np.float32),
        rng.normal(size=(count, 5)),
    )


@pytest.mark.parametrize("positions", [(), (4, 5)])
def test_confusion_is_that_of_scikit_learn(positions):
    found = made(positions=positions)
    known = found.labels >= 0
    expected = reference.confusion_matrix(
        found.labels[known], found.probabilities.argmax(-1)[known], normalize="true"
    )
    np.testing.assert_allclose(confusion_matrix(found), expected)


def test_a_class_without_labels_has_an_empty_row():
    found = made()
    found.labels[found.labels == 1] = -1
    np.testing.assert_array_equal(confusion_matrix(found).sum(1), [1, 0, 1])


def test_calibration_error_is_the_metric():
    found = made()
    logits = jnp.log(found.probabilities)
    metric = metrics.ExpectedCalibrationError(15)
    sums = metric.from_model_output(logits, jnp.asarray(found.labels, jnp.int32), found.labels >= 0)
    np.testing.assert_allclose(
        reliability(found).error, 100 * float(metric.compute(sums)), rtol=1e-5
    )
    (axis, bars) = plot_calibration([found]).axes
    np.testing.assert_allclose(bars.patches[0].get_width(), reliability(found).error)
    assert axis.get_lines()[1].get_xdata().min() > 1 / 3, "three classes"


def test_mistakes_are_the_most_confident_wrong_ones():
    found = made()
    wrong = (found.probabilities.argmax(-1) != found.labels) & (found.labels >= 0)
    confidence = np.sort(found.probabilities.max(-1)[wrong])[::-1][:20]
    mistakes = mistakes_of(found)
    np.testing.assert_allclose([mistake.confidence for mistake in mistakes], confidence)
    index = np.argmax(np.where(wrong, found.probabilities.max(-1), 0))
    np.testing.assert_array_equal(mistakes[0].image, found.inputs[index])
    assert mistakes[0].true == str(found.labels[index]) != mistakes[0].predicted
    figure = plot_mistakes([found])
    assert sum(bool(axis.get_images()) for axis in figure.axes) == 20


def test_without_mistakes_or_images_there_is_nothing():
    found = made()
    right = found._replace(labels=found.probabilities.argmax(-1))
    assert plot_mistakes([right]) is None
    assert plot_mistakes([found._replace(inputs=found.inputs.reshape(300, -1))]) is None
    assert plot_mistakes([]) is plot_confusion([]) is plot_calibration([]) is None
    assert plot_embedding([], {}) is plot_embedding([made(positions=(2, 2))], {}) is None


def test_principal_components_are_those_of_scikit_learn():
    features = np.random.default_rng(0).normal(size=(40, 6)) * np.arange(1, 7)
    found, expected = principal_components(features), PCA(2).fit_transform(features)
    np.testing.assert_allclose(np.abs(found), np.abs(expected))
    assert principal_components(features[:, :1]).shape == (40, 2)


def test_tasks_of_the_same_classes_with_inputs_of_their_own_share_a_panel():
    one, other = made(), made(seed=1, task=COLUMN)
    assert are_domains([one, other])
    assert not are_domains([one, other._replace(inputs=one.inputs)])
    figure = plot_embedding([one, other], {})
    assert len(figure.axes) == 2 and len(figure.axes[0].collections) == 2
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["class 0", "class 1", "class 2", "row", "column"]


@pytest.mark.parametrize(
    ("labels", "logits", "expected"),
    [
        (np.array([0, 2, -1]), np.zeros((3, 3)), [0, 2, -1]),
        (np.array([0.0, 1.0, np.nan]), np.zeros((3, 1)), [0, 1, -1]),
        (np.array([[1.0], [0.0]]), np.zeros((2, 1)), [1, 0]),
        (np.array([0, 7]), np.zeros((2, 3)), [0, -1]),
        (np.array([0.5, 1.0]), np.zeros((2, 3)), None),
        (np.zeros((2, 5)), np.zeros((2, 5)), None),
        (np.zeros(2, int), {"boxes": np.zeros((2, 4))}, None),
    ],
)
def test_labels_that_are_classes(labels, logits, expected):
    found = as_classes(labels, logits)
    assert (found if found is None else found.tolist()) == expected


def test_examples_are_labelled_and_limited(monkeypatch):
    labels = np.array([-1, 0, 1, 2, 0, -1])
    assert labelled_sample(labels, np.zeros((6, 2))).tolist() == [1, 2, 3, 4]
    monkeypatch.setattr(class_predictions, "MAX_EXAMPLES", 2)
    assert labelled_sample(labels, np.zeros((6, 2))).tolist() == [1, 4]
    monkeypatch.setattr(class_predictions, "MAX_NUMBERS", 3)
    assert labelled_sample(labels, np.zeros((6, 2))).tolist() == [1]


def test_texts_of_predictions():
    """Long names of runs, tasks and classes, several tasks, and many classes."""
    many = ClassPredictions(RUN, ROW.replace(num_outputs=12), None, np.arange(12), np.eye(12), None)
    assert faults(plot_confusion([many] * 4)) == []
    task = ROW.replace(name="a task with a long name, too")
    runs = [RUN.replace(name=f"{LONG}{n}") for n in range(6)]
    found = [made(run=run, task=each, seed=n)
             for n, run in enumerate(runs) for each in (ROW, task)]  # fmt: skip
    drawn = (plot_confusion(found), plot_calibration(found), plot_embedding(found, {}),
             plot_mistakes(found))  # fmt: skip
    assert [faults(figure) for figure in drawn] == [[]] * 4


def test_texts_of_many_tasks_and_of_images_of_any_shape():
    tasks = [ROW.replace(name=f"{LONG} {n}") for n in range(40)]
    found = [made(count=40, run=RUN.replace(name=LONG), task=task) for task in tasks]
    drawn = [plot_confusion(found), plot_calibration(found), plot_embedding(found, {})]
    for shape in ((60, 6), (6, 60)):
        drawn.append(
            plot_mistakes([each._replace(inputs=np.zeros((40, *shape, 3))) for each in found])
        )
    assert [faults(figure) for figure in drawn] == [[]] * 5
    assert max(figure.get_figheight() for figure in drawn) < 12.0


def test_both_classes_of_a_mistake_are_named():
    assert arrow("cat", "dog", 1.0) == "cat → dog"
    first, second = arrow(LONG, "dog", 1.0).split(" → ")
    assert first[:2] == LONG[:2] and "…" in first and second == "dog"
    both = arrow(LONG, LONG, 1.0).split(" → ")
    assert both[0] == both[1] and "…" in both[0] and len(both[0]) < len(first)


MIXED = RUN.replace(
    name="gates",
    trunk=nets.MMoE(nets.MLP((4,)), experts=3),
    tasks=(ROW, HEIGHT),
    labels={"num_labelled": 24},
)


@pytest.fixture
def trained(monkeypatch):
    """Gives the initial parameters of a run, which count as trained."""
    monkeypatch.setattr(expert_use, "is_complete", lambda *_: True)

    def write(run):
        images = jnp.asarray(run.data.load().test["inputs"])
        found = build_model(run).init(jax.random.key(0), images)
        monkeypatch.setattr(
            layer_outputs,
            "load_trained_params",
            lambda *_: jax.tree.map(lambda leaf: np.asarray(leaf)[None], found),
        )
        return found[0]

    return write


def test_gates_are_those_of_the_formula(trained):
    images = RUN.data.load().test["inputs"]
    kernel = trained(MIXED)["tasks"]["own"]["task_gate_height"]["kernel"]
    expected = jax.nn.softmax(images.reshape(len(images), -1) @ kernel).mean(0)
    np.testing.assert_allclose(gates_of(MIXED, None)[0]["height"], expected, rtol=1e-5)
    levels = MIXED.replace(trunk=nets.PLE(nets.MLP((4,)), deeper_expert=(4,)))
    trained(levels)
    found = gates_of(levels, None)
    assert list(found) == [0, 1]
    sums = [weights.sum() for by_task in found.values() for weights in by_task.values()]
    np.testing.assert_allclose(sums, [1.0] * 4, rtol=1e-5)
    plain = RUN.replace(trunk=nets.CrossStitch(nets.MLP((4,))))
    trained(plain)
    assert gates_of(plain, None) == {}


def test_gates_of_selectors(trained):
    sparse = MIXED.replace(trunk=nets.DSelectK(nets.MLP((4,)), experts=4))
    gate = trained(sparse)["tasks"]["own"]["task_gate_row"]
    gate["codes"], gate["logits"] = jnp.array([[9.0, -9.0], [9.0, 9.0]]), jnp.zeros(2)
    found = gates_of(sparse, None)
    np.testing.assert_allclose(found[0]["row"], [0, 0.5, 0, 0.5])  # by hand: codes 01 and 11.


@pytest.mark.parametrize("num_tasks", [2, 40])
def test_texts_of_gates(monkeypatch, num_tasks):
    tasks = tuple(ROW.replace(name=f"{n} {LONG}") for n in range(num_tasks))
    runs = [MIXED.replace(name=f"{n} {LONG}", tasks=tasks) for n in range(5)]
    weights = {task.name: np.full(12, 1 / 12) for task in tasks}
    monkeypatch.setattr(expert_use, "is_complete", lambda *_: True)
    monkeypatch.setattr(expert_use, "gates_of", lambda run, _: {0: weights, 1: weights})
    for shown in (runs, runs[:1]):
        figure = plot_expert_use(Experiment(runs=tuple(shown)), {run.name: None for run in runs})
        assert faults(figure) == []


BINARY = ROW.replace(
    name="wide", num_outputs=1, loss=losses.binary_cross_entropy, metrics=(metrics.Accuracy(),)
)


def with_binary(part):
    """Data with a binary label beside the others."""
    return {**part, "wide": (part["row"] > 0).astype(np.float32)}


@pytest.mark.slow
def test_an_experiment_has_all_of_them(tmp_path):
    source = RUN.data
    arrays = data.Arrays(*map(with_binary, (source.train, source.validation, source.test)))
    runs = (
        MIXED,
        UNLABELLED.replace(evaluation={"selection": "per_task"}),
        RUN.replace(name="binary", data=arrays, tasks=(BINARY, HEIGHT)),
        RUN.replace(name="domains", data=data.Domains((RUN.data,), RUN.data.__class__(
            RUN.data.train, RUN.data.test, RUN.data.validation)), tasks=(ROW,), labels={"num_labelled": None}),
        dense.RUN.replace(name="maps", tasks=(dense.CLASS_MAP, dense.CORNER)),
    )  # fmt: skip
    whole = Experiment(runs=runs)
    assert sweep(whole, whole, tmp_path) == 0
    names = ("pseudo_labels", "confusion", "calibration", "embedding", "mistakes", "experts")
    written = {path.name for path in tmp_path.glob("*.p[nd][gf]")}
    assert {f"{name}.{ending}" for name in names for ending in ("png", "pdf")} <= written
    folders = {run.name: RunDirectory(tmp_path, run) for run in runs}
    found = class_predictions.predict_classes(whole, folders)
    pairs = [(each.run.name, each.task.name) for each in found]
    assert pairs == [("gates", "row"), ("fixmatch", "row"), ("fixmatch", "column"),
                     ("binary", "wide"), ("domains", "row"), ("maps", "classes"),
                     ("maps", "corner")]  # fmt: skip
    for each in found:
        known = each.labels >= 0
        accuracy = (each.probabilities.argmax(-1) == each.labels)[known].mean()
        result = folders[each.run.name].result()["selected"][0]["test"][each.task.name]
        np.testing.assert_allclose(accuracy, result["accuracy"], rtol=1e-5)
    texts = {
        name: faults(figure) for name, figure in figures.draw(whole, folders).items() if figure
    }
    assert {name: lines for name, lines in texts.items() if lines} == {}
