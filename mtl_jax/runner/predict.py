"""Features and outputs of images by the trained models of a run, for every seed."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.task import Task
from mtl_jax.core.validation import BadInput, require
from mtl_jax.core.views import Parameters
from mtl_jax.losses.target_type import target_type
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.trained_params import load_trained_params
from mtl_jax.train import build_model, features_and_logits
from mtl_jax.transfer import transferability


class SourcePredictions(NamedTuple):
    """Features, and class probabilities of the first task."""

    features: np.ndarray  # [S, N, D]
    probabilities: np.ndarray  # [S, N, Z]; Z is 0 for a task without classes


def predict_source(
    run: Run, folder: RunDirectory, images: Sequence[np.ndarray], by: Parameters = "selected"
) -> SourcePredictions:
    """Features and class probabilities of each seed's images `[N, ...]`, by a finished run.

    Raises:
      BadInput: if its checkpoint is missing or damaged.
    """
    task = run.tasks[0]
    why = "a row reads its features"
    features, logits = predict_all_seeds(
        run, folder, by, task.name, images, features_and_logits, why
    )
    return SourcePredictions(features[task.name], probabilities_of(task, logits[task.name]))


def probabilities_of(task: Task, outputs: np.ndarray) -> np.ndarray:
    """Class probabilities `[..., Z]`; Z is 2 for one logistic output, 0 for regression."""
    kind = target_type(task.loss, task.num_outputs)
    if kind in ("multilabel", "continuous"):
        return outputs[..., :0]
    if kind == "binary":
        outputs = np.concatenate([np.zeros_like(outputs), outputs], -1)
    return np.asarray(jax.nn.softmax(outputs))


def predict_all_seeds(
    run: Run,
    folder: RunDirectory,
    by: Parameters,
    task: str,
    images: Sequence[np.ndarray],
    ask: Callable[..., Any],
    why: str,
) -> Any:
    """Predictions `[S, N, ...]` of every seed of a finished run for that seed's images `[N, ...]`.

    Args:
      run: a finished run.
      folder: the folder of the run.
      by: which of its parameters to use.
      task: the task whose selected parameters to use, if the run selects per task.
      images: images of the shape of the run's data, for every seed.
      ask: the prediction function of one seed, `(net, params, stats, images) -> tree`.
      why: the reason for the prediction, for error messages.

    Raises:
      BadInput: if its checkpoint is missing or damaged.
    """
    models = load_trained_params(run, folder, by, task, why)
    alone = jax.jit(functools.partial(ask, build_model(run)))
    each = [
        jax.device_get(alone(*jax.tree.map(lambda leaf, s=seed: leaf[s], models), own))
        for seed, own in enumerate(map(jnp.asarray, images))
    ]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *each)


def check_features_from(row: SklearnBaseline) -> None:
    """Requires that a row with `features_from` has images of that run's shape.

    Raises:
      BadInput: for other shapes, or data with several inputs.
    """
    if row.features_from is None:
        return
    shapes = [data.shapes() for data in (row.data, row.features_from.data)]
    rule = "must have images of one input, in this row and in the run"
    require(
        all("image" in each for each in shapes), row, "features_from", rule, row.features_from.name
    )
    own, read = (each["image"].shape[1:] for each in shapes)
    require(own == read, row, "features_from", f"must read images of {own}", read)


def transferability_scores(
    features: np.ndarray, probabilities: np.ndarray, labels: np.ndarray
) -> dict:
    """Transferability scores of a source model on one seed's labelled examples.

    A score that cannot be computed from so few examples is None.

    Args:
      features: source features, `[N, D]`.
      probabilities: probabilities of the source's classes, `[N, Z]`; if Z is 0, scores that need
        them are None.
      labels: target labels, `[N]`.
    """
    scores = {
        "H-score": lambda: transferability.h_score(features, labels),
        "regularised H-score": lambda: transferability.regularized_h_score(features, labels),
        "LEEP": lambda: transferability.leep(probabilities, labels),
        "NCE": lambda: transferability.nce(most_likely(probabilities), labels),
        "LogME": lambda: transferability.logme(features, labels),
        "TransRate": lambda: transferability.transrate(features, labels),
    }
    return {name: score_or_none(score) for name, score in scores.items()}


def most_likely(probabilities: np.ndarray) -> np.ndarray:
    """The most likely class of each example, `[N]`."""
    if probabilities.shape[1] == 0:
        raise BadInput("NCE needs the classes of a source")
    return probabilities.argmax(1)


def score_or_none(score: Callable[[], float]) -> float | None:
    """The score, or None if it raises `BadInput`."""
    try:
        return float(score())
    except BadInput:
        return None
