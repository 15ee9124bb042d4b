"""Detection by centers in a run: it learns, draws what it found, and refuses what does not fit."""

import functools
import json

import numpy as np
import pytest

from mtl_jax import data, losses, metrics
from mtl_jax.config.experiment import Experiment
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.part_checks import check_parts
from mtl_jax.runner.sweep import sweep
from tests.rectangles import BOXES, DETECTION, part

pytest.importorskip("faster_coco_eval")


@pytest.mark.slow
def test_boxes_are_learnt_and_drawn(tmp_path):
    whole = Experiment(runs=(DETECTION,))
    assert sweep(whole, whole, tmp_path) == 0
    (file,) = tmp_path.glob("*/metrics.jsonl")
    records = [json.loads(line) for line in file.read_text().splitlines()]
    # As good as ever after half of the steps; at random it is below a percent.
    found = [record["validation"]["raw"]["boxes"]["mAP@0.5"][0] for record in records]
    assert found[-1] > 0.5
    assert records[-1]["validation"]["raw"]["count"]["mae"][0] < 0.7
    assert (tmp_path / "detections.png").stat().st_size > 5000


def with_task(**changes):
    return DETECTION.replace(tasks=(BOXES.replace(**changes),))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"loss": functools.partial(losses.center_loss, stride=8)},
            r"Task\.loss must have the stride of the head, whose maps are \(8, 8\) of .*, not 8",
        ),
        (
            {"metrics": (metrics.MeanAveragePrecision(0.5, metrics.decode_centers),)},
            None,
        ),
        (
            {
                "metrics": (
                    metrics.MeanAveragePrecision(
                        0.5, functools.partial(metrics.decode_centers, stride=16)
                    ),
                )
            },
            r"Task\.metrics must have the stride .*, not 16",
        ),
        (
            {"metrics": (metrics.MeanAveragePrecision(0.5),)},
            r"metric 'mAP@0.5': .*; the outputs of a head need MeanAveragePrecision\.decode",
        ),
        ({"metrics": (metrics.AUROC(),)}, "metric 'auroc': .* needs outputs and labels"),
        ({"metrics": (metrics.Accuracy(),)}, "metric 'accuracy': "),
        ({"head": None, "num_outputs": 2}, "loss: .*center_loss needs a dict of heatmap"),
    ],
)
def test_what_does_not_fit_is_refused_before_training(changes, text):
    if text is None:
        check_parts(with_task(**changes))
        return
    with pytest.raises(BadInput, match=f"run 'boxes and count': task 'boxes': {text}"):
        check_parts(with_task(**changes))


def test_labels_without_boxes_are_refused():
    wrong = {**part(20, 0), "boxes": np.zeros((20, 4), np.float32)}
    run = DETECTION.replace(data=data.Arrays(wrong, wrong, wrong))
    with pytest.raises(BadInput, match=r"labels are float32 \[N, 4\]; center_loss takes boxes"):
        check_parts(run)
