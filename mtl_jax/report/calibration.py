"""Figure of calibration: reliability diagrams and expected calibration errors."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mtl_jax.report.class_predictions import ClassPredictions
from mtl_jax.report.plotting import MARKERS, SMALL, WIDTH, colors_of, new_figure, paper_figure
from mtl_jax.report.text_size import break_lines, short_number

BINS = 15
LEAST = 10  # Examples of a bin that is drawn.
MAX_TASKS = 5


class Reliability(NamedTuple):
    """Bins of confidence that are not empty."""

    confidence: np.ndarray  # [B], mean of a bin
    accuracy: np.ndarray  # [B]
    count: np.ndarray  # [B]

    @property
    def error(self) -> float:
        """Expected calibration error in percent, see `mtl_jax.metrics.ExpectedCalibrationError`."""
        gaps = np.abs(self.accuracy - self.confidence)
        return 100.0 * float(np.average(gaps, weights=self.count))


@paper_figure
def plot_calibration(predictions: Sequence[ClassPredictions]):
    """Accuracy over confidence on test examples, and the calibration error of each run.

    A row of two panels for each of the first tasks: on the diagonal of the left one, confidence,
    the largest probability, is as high as accuracy. None without predictions of classes.
    """
    by_task: dict[str, list[ClassPredictions]] = {}
    for each in predictions:
        by_task.setdefault(each.task.name, []).append(each)
    shown = dict(list(by_task.items())[:MAX_TASKS])
    if not shown:
        return None
    names = list(dict.fromkeys(each.run.name for own in shown.values() for each in own))
    colors = colors_of(names)
    markers = dict(zip(names, MARKERS, strict=False))
    broken = {name: break_lines(name, 0.25 * WIDTH, SMALL) for name in names}
    lines = [sum(broken[each.run.name].count("\n") + 1.3 for each in own) for own in shown.values()]
    heights = [max(1.6, 0.11 * count) for count in lines]
    figure = new_figure(sum(heights) + 0.3)
    axes = figure.subplots(len(shown), 2, squeeze=False, sharex="col", height_ratios=heights)
    for (task, own), (left, right) in zip(shown.items(), axes, strict=True):
        found = {each.run.name: reliability(each) for each in own}
        left.plot([0.0, 1.0], [0.0, 1.0], color="gray", lw=0.5)
        for name, bins in found.items():
            shown_bins = bins.count >= LEAST
            left.plot(
                bins.confidence[shown_bins], bins.accuracy[shown_bins],
                marker=markers[name], ms=3, color=colors[name],
            )  # fmt: skip
        left.set_ylabel(break_lines(f"{task}, accuracy", 1.2, SMALL), fontsize=SMALL)
        errors = [bins.error for bins in found.values()]
        height = min(0.8, 0.3 * len(found))  # One bar is no thicker than three.
        right.barh(range(len(found)), errors, height, color=[colors[name] for name in found])
        right.set_yticks(range(len(found)), [broken[name] for name in found])
        right.set_ylim(len(found) - 0.5, -0.5)
    for axis in axes.ravel():
        axis.xaxis.set_major_formatter(short_number)
    for axis in axes[:, 0]:
        axis.yaxis.set_major_formatter(short_number)
    axes[-1, 0].set_xlabel("confidence")
    axes[-1, 1].set_xlabel("expected calibration error %")
    return figure


def reliability(predictions: ClassPredictions, bins: int = BINS) -> Reliability:
    """Bins of equal width, `((b - 1) / bins, b / bins]`, of the confidence of labelled examples."""
    known = predictions.labels >= 0
    probabilities = predictions.probabilities[known]
    confidence = probabilities.max(-1).astype(float)
    correct = probabilities.argmax(-1) == predictions.labels[known]
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    means = [
        np.bincount(place, values, bins)[filled] / count[filled] for values in (confidence, correct)
    ]
    return Reliability(*means, count[filled])
