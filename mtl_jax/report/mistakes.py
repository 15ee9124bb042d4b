"""Figure of the worst mistakes: test images whose wrong class is the most probable."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from mtl_jax.report.class_names import class_names
from mtl_jax.report.class_predictions import ClassPredictions
from mtl_jax.report.image_grid import draw_image
from mtl_jax.report.plotting import SMALL, WIDTH, add_heading, panel_rows, paper_figure
from mtl_jax.report.text_size import shorten, text_width

NUM_MISTAKES = 20
COLUMNS = 5
SIDE = 1.2  # Inches, the largest of an image.
ARROW = " → "


class Mistake(NamedTuple):
    """A wrong prediction."""

    image: np.ndarray  # [H, W, C]
    task: str
    true: str
    predicted: str
    confidence: float


@paper_figure
def plot_mistakes(predictions: Sequence[ClassPredictions]):
    """The 20 most confident wrong predictions on test images, of the first run with most tasks.

    Above each image are its true class and the predicted one, the task and the confidence. None if
    no run classifies whole images, or it makes no mistake.
    """
    by_run: dict[str, list[ClassPredictions]] = {}
    for each in predictions:
        if on_images(each):
            by_run.setdefault(each.run.name, []).append(each)
    if not by_run:
        return None
    own = max(by_run.values(), key=len)
    mistakes = sorted(
        (mistake for each in own for mistake in mistakes_of(each)),
        key=lambda mistake: -mistake.confidence,
    )[:NUM_MISTAKES]
    if not mistakes:
        return None
    height, width = mistakes[0].image.shape[:2]
    text = 0.34 if len(own) > 1 else 0.24
    columns = min(COLUMNS, len(mistakes))
    size = min(min(0.9 * WIDTH / columns, SIDE) * height / width, SIDE)
    figure, (block,) = panel_rows([len(mistakes)], size + text, COLUMNS)
    for mistake, axis in zip(mistakes, block, strict=True):
        draw_image(mistake.image, axis)
        axis.set_xticks([])
        axis.set_yticks([])
        room = 0.85 * WIDTH / columns
        lines = [arrow(mistake.true, mistake.predicted, room), f"{mistake.confidence:.3f}"]
        lines[:0] = [shorten(mistake.task, room, SMALL)] if len(own) > 1 else []
        axis.set_title("\n".join(lines), fontsize=SMALL)
    add_heading(figure, f"{own[0].run.name}: true → predicted class, confidence")
    return figure


def arrow(true: str, predicted: str, width: float) -> str:
    """An arrow from the true to the predicted class, within a width in inches."""
    room = width - text_width(ARROW, SMALL)
    short = min((true, predicted), key=lambda name: text_width(name, SMALL))
    half = max(room / 2, room - text_width(short, SMALL))
    return ARROW.join(shorten(name, half, SMALL) for name in (true, predicted))


def on_images(predictions: ClassPredictions) -> bool:
    """Whether predictions are of whole images, of one or at least three channels."""
    inputs = jax.tree.leaves(predictions.inputs)
    return predictions.labels.ndim == 1 and len(inputs) == 1 and inputs[0].ndim == 4


def mistakes_of(predictions: ClassPredictions) -> list[Mistake]:
    """The most confident wrong predictions, the most confident first."""
    predicted = predictions.probabilities.argmax(-1)
    confidence = predictions.probabilities.max(-1)
    wrong = (predicted != predictions.labels) & (predictions.labels >= 0)
    order = np.argsort(np.where(wrong, -confidence, 1.0), kind="stable")[:NUM_MISTAKES]
    names = class_names(predictions.run, predictions.task)
    (images,) = jax.tree.leaves(predictions.inputs)
    return [
        Mistake(
            np.asarray(images[i]),
            predictions.task.name,
            names[predictions.labels[i]],
            names[predicted[i]],
            float(confidence[i]),
        )
        for i in order
        if wrong[i]
    ]
