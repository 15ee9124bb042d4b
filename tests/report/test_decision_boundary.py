"""Decision boundaries: drawn for runs on points of the plane, by what they have learnt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment, consistency, data, losses, metrics, nets
from mtl_jax.config.experiment import Experiment
from mtl_jax.report import decision_boundary
from mtl_jax.report.decision_boundary import (
    GRID_SIZE,
    on_points,
    plot_decision_boundaries,
    predict_classes,
)
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import build_model
from tests.figure_text import faults
from tests.report.test_text_overlap import LONG, WORD
from tests.small import ROW, RUN

MOON = ROW.replace(name="moon", num_outputs=2, auxiliary=consistency.FixMatch(0.8))
POINTS = RUN.replace(
    name="points",
    data=data.TwoMoons(train=60, validation=10, test=10),
    tasks=(MOON,),
    trunk=nets.MLP((16,)),
    augmentation={"strong": augment.signal.Jitter(0.1)},
    labels={"num_labelled": 8},
    steps=8,
)


@pytest.mark.slow
def test_a_panel_for_each_run_on_points(tmp_path):
    whole = Experiment(runs=(POINTS, RUN.replace(tasks=(ROW,))))
    assert sweep(whole, whole, tmp_path) == 0
    assert (tmp_path / "boundaries.png").stat().st_size > 5000
    folders = {run.name: RunDirectory(tmp_path, run) for run in whole.runs}
    figure = plot_decision_boundaries(whole, folders)
    drawn = [axis for axis in figure.axes if axis.get_title()]
    assert [axis.get_title() for axis in drawn] == ["points"]
    labels = drawn[0].collections[-1].get_offsets()
    assert len(labels) == 8, "the labelled points stand out"
    grid = np.random.default_rng(0).normal(size=(GRID_SIZE, 1, 2)).astype(np.float32)
    found = predict_classes(POINTS, folders["points"], grid)
    assert found.shape == (GRID_SIZE,) and set(found) <= {0, 1}


def test_images_have_none():
    assert on_points(POINTS) and not on_points(RUN)
    assert plot_decision_boundaries(Experiment(runs=(RUN,)), {}) is None


def test_inputs_of_several_arrays_have_none():
    both = np.zeros((6, 1, 2), np.float32)
    part = {"inputs": {"one": both, "other": both}, "moon": np.arange(6, dtype=np.int32) % 2}

    class Pairs(data.TwoMoons):
        def shapes(self):
            return part

    assert not on_points(POINTS.replace(data=Pairs(train=6, validation=2, test=2)))


def test_numbers_and_several_labels_have_none():
    """The largest of several numbers is no class."""
    numbers = MOON.replace(
        loss=losses.squared_error, metrics=(metrics.MeanSquaredError(),), auxiliary=None
    )
    labels = numbers.replace(loss=losses.binary_cross_entropy, metrics=(metrics.F1(),))
    assert not any(on_points(POINTS.replace(tasks=(task,))) for task in (numbers, labels))


@pytest.fixture
def untrained(monkeypatch):
    """Every run has its initial parameters."""

    def init(run, *_):
        return build_model(run).init(jax.random.key(0), jnp.zeros((2, 1, 2)))

    monkeypatch.setattr(decision_boundary, "load_first_seed", init)


def test_a_class_has_one_color_in_all_panels(untrained):
    ten = POINTS.replace(name="ten", tasks=(MOON.replace(num_outputs=10, auxiliary=None),))
    figure = plot_decision_boundaries(
        Experiment(runs=(POINTS, ten)), {run.name: None for run in (POINTS, ten)}
    )
    few, many = (axis.get_images()[0].cmap.colors for axis in figure.axes)
    entries = [handle.get_color() for handle in figure.legends[0].legend_handles]
    assert (few, many) == (entries[:2], entries) and len({*entries}) == 10


@pytest.mark.parametrize(("num_runs", "num_classes"), [(1, 2), (3, 3), (11, 40)])
def test_no_text_covers_another_one(untrained, monkeypatch, num_runs, num_classes):
    names = [f"{(LONG, WORD)[n % 2]} {n}" for n in range(num_classes)]
    monkeypatch.setattr(decision_boundary, "class_names", lambda *_: names)
    task = MOON.replace(num_outputs=num_classes, auxiliary=None)
    runs = [
        POINTS.replace(name=f"{(LONG, WORD)[n % 2]} {n}", tasks=(task,)) for n in range(num_runs)
    ]
    experiment = Experiment(runs=tuple(runs))
    assert faults(plot_decision_boundaries(experiment, {run.name: None for run in runs})) == []
