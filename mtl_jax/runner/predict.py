"""Features and outputs of images by the trained models of a run, for every seed."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.model import Model
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import BadInput, require
from mtl_jax.core.views import Parameters
from mtl_jax.report.class_predictions import probabilities_of
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.trained_params import load_trained_params
from mtl_jax.train import build_model, features_and_logits
from mtl_jax.transfer import transferability


class SourcePredictions(NamedTuple):
    """Features, and class probabilities of the first task."""

    features: np.ndarray  # [S, N, D]
    probabilities: np.ndarray  # [S, N, Z]; Z is 0 for a task without classes


def predict_source(
    run: Run,
    folder: RunDirectory,
    inputs: Sequence[Tree],
    parameters: Parameters = "selected",
) -> SourcePredictions:
    """Features and class probabilities of each seed's inputs `[N, ...]`, by a finished run.

    Raises:
      BadInput: if its checkpoint is missing or damaged.
    """
    task = run.tasks[0]
    models = load_trained_params(run, folder, parameters, task.name, "a row reads its features")
    features, logits = predict_all_seeds(run, models, inputs, features_and_logits)
    return SourcePredictions(features[task.name], probabilities_of(task, logits[task.name]))


def predict_all_seeds(
    run: Run,
    models: tuple[Tree, Tree],
    inputs: Sequence[Tree],
    predict: Callable[[Model, Tree, Tree, jax.Array], Tree],
) -> Tree:
    """Predictions `[S, N, ...]` of every seed's model for that seed's inputs `[N, ...]`.

    Args:
      run: the run that trained the models.
      models: parameters and batch statistics `[S, ...]`.
      inputs: inputs of the shapes of the run's data, for every seed.
      predict: the prediction function of one seed, `(model, params, batch_stats, inputs) -> tree`.
    """
    predict = jax.jit(functools.partial(predict, build_model(run)))
    predictions = [
        jax.device_get(predict(*jax.tree.map(lambda leaf, s=seed: leaf[s], models), own))
        for seed, own in enumerate(jax.tree.map(jnp.asarray, list(inputs)))
    ]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *predictions)


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
        all("inputs" in split for split in shapes),
        row,
        "features_from",
        rule,
        row.features_from.name,
    )
    shape, source_shape = (split["inputs"].shape[1:] for split in shapes)
    rule = f"must read images of {shape}"
    require(shape == source_shape, row, "features_from", rule, source_shape)


def transferability_scores(
    features: np.ndarray, probabilities: np.ndarray, labels: np.ndarray
) -> dict[str, float | None]:
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
        "regularized H-score": lambda: transferability.regularized_h_score(features, labels),
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
