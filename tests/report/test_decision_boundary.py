"""Decision boundaries: drawn for runs on points of the plane, by what they have learnt."""

import numpy as np
import pytest

from mtl_jax import augment, consistency, data, losses, metrics, nets
from mtl_jax.config.experiment import Experiment
from mtl_jax.report.decision_boundary import (
    GRID_SIZE,
    on_points,
    plot_decision_boundaries,
    predict_classes,
)
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_directory import RunDirectory
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
