"""Figures of detected boxes: that they are drawn as they are, and that no text covers another one."""

import numpy as np
import pytest

from mtl_jax.config.experiment import Experiment
from mtl_jax.report import detections
from mtl_jax.report.detections import Boxes, plot_detections
from tests import rectangles
from tests.figure_text import faults
from tests.report.test_text_overlap import LONG, WORD

DETECTION = rectangles.DETECTION.replace(tasks=(rectangles.BOXES,))
BOX = (4.0, 6.0, 20.0, 10.0)


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """Every run finds one box of class 1 in each image."""
    boxes = Boxes(np.array([BOX]), np.array([1]))
    monkeypatch.setattr(detections, "detected_boxes", lambda *_: [boxes] * 4)


def test_boxes_are_those_of_the_labels_and_of_the_run():
    figure = plot_detections(Experiment(runs=(DETECTION,)), {DETECTION.name: None})
    true, detected = np.reshape(figure.axes, (2, 4))
    labels = rectangles.part(40, 2)["boxes"][[0, 13, 26, 39]]
    for axis, label in zip(true, labels, strict=True):
        corners = [patch.get_bbox().extents for patch in axis.patches]
        np.testing.assert_allclose(corners, label[label[:, 0] >= 0, 1:])
    assert [tuple(axis.patches[0].get_bbox().extents) for axis in detected] == [BOX] * 4
    named = {text.get_text(): patch.get_facecolor() for text, patch in zip(
        figure.legends[0].get_texts(), figure.legends[0].get_patches(), strict=True)}  # fmt: skip
    assert detected[0].patches[0].get_edgecolor() == named["1"] != named["0"]


@pytest.mark.parametrize(("num_runs", "num_classes"), [(1, 2), (14, 40)])
def test_no_text_covers_another_one(monkeypatch, num_runs, num_classes):
    names = [f"{(LONG, WORD)[n % 2]} {n}" for n in range(num_classes)]
    monkeypatch.setattr(detections, "class_names", lambda *_: names)
    runs = tuple(DETECTION.replace(name=f"{(LONG, WORD)[n % 2]} {n}") for n in range(num_runs))
    figure = plot_detections(Experiment(runs=runs), {run.name: None for run in runs})
    assert faults(figure) == []
    assert figure.get_figheight() < 12.0
