"""Maps of predictions: which runs have them, and that labels and predictions are drawn as they are."""

import numpy as np
import pytest

from mtl_jax import data, losses, metrics
from mtl_jax.config.experiment import Experiment
from mtl_jax.report import label_maps
from mtl_jax.report.image_grid import predict
from mtl_jax.report.label_maps import has_maps, plot_label_maps, predicted_maps, scale_of
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_directory import RunDirectory
from tests import dense, rectangles, small
from tests.figure_text import faults
from tests.report.test_text_overlap import LONG, WORD

RUNS = (
    dense.RUN,
    dense.RUN.replace(name="alone", tasks=(dense.CLASS_MAP, dense.CORNER)),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folders of an experiment of maps."""
    root = tmp_path_factory.mktemp("maps")
    whole = Experiment(runs=RUNS)
    assert sweep(whole, whole, root) == 0
    folders = {run.name: RunDirectory(root, run) for run in RUNS}
    return root, folders


@pytest.mark.slow
def test_labels_and_predictions_are_drawn_as_they_are(trained):
    root, folders = trained
    assert (root / "maps.png").stat().st_size > 5000
    figure = plot_label_maps(Experiment(runs=RUNS), folders)
    assert faults(figure) == []
    rows = {}
    for axis in figure.axes:
        if not axis.get_images():  # A bar of colors.
            continue
        if axis.get_ylabel():
            name = axis.get_ylabel().replace("\n", " ")
        rows.setdefault(name, []).append(axis.get_images()[0].get_array())
    kinds = ("classes, labels", "classes, dense", "classes, alone", "depth, labels", "depth, dense")
    assert list(rows) == ["image", *kinds, "normals, labels", "normals, dense"]
    index = [0, 2, 5, 7]  # Four of eight.
    labels = dense.part(8, 2)
    for k, i in enumerate(index):
        np.testing.assert_allclose(rows["image"][k], labels["inputs"][i, ..., 0])
        shown, wanted = rows["classes, labels"][k], labels["classes"][i]
        np.testing.assert_array_equal(np.ma.getmaskarray(shown), wanted < 0)
        np.testing.assert_array_equal(shown.compressed(), wanted[wanted >= 0])
        shown, wanted = rows["depth, labels"][k], labels["depth"][i, ..., 0]
        np.testing.assert_array_equal(np.ma.getmaskarray(shown), np.isnan(wanted))
    for run in RUNS:
        found = predict(run, "classes", folders[run.name], labels["inputs"][index], "")
        np.testing.assert_array_equal(rows[f"classes, {run.name}"], found.argmax(-1))
    vectors = predict(dense.RUN, "normals", folders["dense"], labels["inputs"][index], "")
    units = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    np.testing.assert_allclose(rows["normals, dense"], 0.5 + 0.5 * units, atol=1e-6)


@pytest.mark.parametrize(
    ("run", "task", "drawn"),
    [
        (dense.RUN, dense.CLASS_MAP, True),
        (dense.RUN, dense.DEPTH, True),
        (dense.RUN, dense.NORMALS, True),
        (dense.RUN, dense.CORNER, False),
        (dense.TOKENS, dense.TOKENS.tasks[0], False),
        (small.RUN, small.ROW, False),
        (rectangles.DETECTION, rectangles.BOXES, False),
    ],
)
def test_maps_of_images_alone_are_drawn(run, task, drawn):
    assert has_maps(task.name, run, task) is drawn
    assert not has_maps("another", run, task)


def test_colors_cover_the_classes_or_the_known_labels():
    colors = {"0": "red", "1": "green", "other": "black", "2": "blue"}
    scale = scale_of(dense.RUN, dense.CLASS_MAP, np.zeros((1, 2, 2), int), colors)
    assert (scale.low, scale.high, scale.colormap.colors) == (-0.5, 2.5, ["red", "green", "blue"])
    labels = np.array([np.nan, 1.5, 4.0])
    assert scale_of(dense.RUN, dense.DEPTH, labels, colors) == ("viridis", 1.5, 4.0)
    assert scale_of(dense.RUN, dense.DEPTH, labels[:1], colors) == ("viridis", 0.0, 1.0)


def of_many_tasks(part, count):
    """Labels of several tasks, from those of one of each kind."""
    inputs = {"inputs": part["inputs"]}
    kinds = ("classes", "depth", "normals")
    return inputs | {f"{LONG} {n}": part[kinds[n % 3]] for n in range(count)}


@pytest.mark.parametrize(("num_runs", "num_tasks"), [(1, 1), (14, 1), (3, 10)])
def test_no_text_covers_another_one(monkeypatch, num_runs, num_tasks):
    """Long names, many classes, runs and tasks; each has at least the row of one run."""
    source = data.Arrays(*(of_many_tasks(each, num_tasks) for each in (
        dense.DATA.train, dense.DATA.validation, dense.DATA.test)))  # fmt: skip
    kinds = (dense.CLASS_MAP, dense.DEPTH, dense.NORMALS)
    tasks = tuple(kinds[n % 3].replace(name=f"{LONG} {n}") for n in range(num_tasks))
    runs = [
        dense.RUN.replace(name=f"{(LONG, WORD)[n % 2]} {n}", data=source, tasks=tasks)
        for n in range(num_runs)
    ]
    names = [f"{(LONG, WORD)[n % 2]} {n}" for n in range(3)]
    monkeypatch.setattr(label_maps, "class_names", lambda *_: names)
    monkeypatch.setattr(
        label_maps, "predict", lambda run, name, _, images, __: np.zeros((*images.shape[:3], 3))
        if kinds[int(name[-1]) % 3] is not dense.DEPTH else images,
    )  # fmt: skip
    figure = plot_label_maps(Experiment(runs=tuple(runs)), {run.name: None for run in runs})
    assert faults(figure) == []
    assert figure.get_figheight() < 16.0
    rows = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert len(rows) == {(1, 1): 3, (14, 1): 14, (3, 10): 25}[num_runs, num_tasks]
    colors = [tuple(patch.get_facecolor()) for patch in figure.legends[0].get_patches()]
    assert len({*colors}) == len(colors) == 3


def test_an_experiment_without_maps_has_no_figure():
    assert plot_label_maps(Experiment(runs=(small.RUN,)), {}) is None


def test_a_binary_map_is_a_probability():
    task = dense.DEPTH.replace(loss=losses.binary_cross_entropy, metrics=(metrics.Accuracy(),))
    found = predicted_maps(task, np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 1)))
    np.testing.assert_array_equal(found, 0.5)
