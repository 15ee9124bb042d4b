"""Fits scikit-learn baselines, and writes their results in the format of runs."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.validation import BadInput
from mtl_jax.data import has_label
from mtl_jax.report.summary import describe_metrics
from mtl_jax.runner.predict import predict_source, transferability_scores
from mtl_jax.runner.sklearn_data import (
    Part,
    draw_labelled,
    needs_probabilities,
    parts_of,
    targets_of,
    vectors_of,
)
from mtl_jax.runner.sklearn_predict import predict_metrics
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import seeds_of

Vectors = tuple[np.ndarray, ...]  # train, validation and test, each [N, D]


def fit(row: SklearnBaseline, folder: RunDirectory, source: RunDirectory | None = None) -> None:
    """Fits a row that passed `sklearn_data.check` for all its seeds, and writes its result.

    Args:
      row: the baseline to fit.
      folder: the folder of the row, already claimed.
      source: the folder of the finished run of `features_from`, if the row has one.

    Raises:
      BadInput: if the data lacks the task's labels, or has fewer labels than requested; and if
        an estimator raises, naming the row, candidate and seed.
    """
    start_time = time.perf_counter()
    parts_by_seed = {seed: parts_of(row, seed) for seed in seeds_of(row)}
    predictions = None
    if row.features_from is not None:
        assert source is not None
        images = [
            [part.inputs for part in split] for split in zip(*parts_by_seed.values(), strict=True)
        ]
        predictions = [
            predict_source(row.features_from, source, split, row.parameters) for split in images
        ]
    scores, transferability, unlabelled = [], [], {}
    for place, (seed, parts) in enumerate(parts_by_seed.items()):
        targets = targets_of(row, parts[0].labels)
        index = draw_labelled(row, parts[0].labels, seed)
        if predictions is None:
            vectors = tuple(vectors_of(part.inputs) for part in parts)
        else:
            vectors = tuple(split.features[place] for split in predictions)
            probabilities = predictions[0].probabilities[place][index]
            transferability.append(
                transferability_scores(vectors[0][index], probabilities, targets[index])
            )
        scores.append(candidate_scores(row, seed, parts, vectors, targets, index))
        unlabelled[seed] = unlabelled_classes(row, parts, targets[index])
    seconds = round(time.perf_counter() - start_time, 3)
    entries = {"promises": transferability} if transferability else {}
    entries["warnings"] = warnings_of(row, np.array(scores), unlabelled)
    folder.write_result({**result(row, np.array(scores)), **entries}, {"seconds": seconds})


def candidate_scores(
    row: SklearnBaseline,
    seed: int,
    parts: tuple[Part, ...],
    vectors: Vectors,
    targets: np.ndarray,
    index: np.ndarray,
) -> list[list[list[float]]]:
    """The task's metrics of every candidate on the labelled examples of validation and test.

    Args:
      row: the baseline to fit.
      seed: the seed of the labelled subset.
      parts: train, validation and test.
      vectors: input vectors of the parts.
      targets: training labels in the format of estimators.
      index: indices of the labelled training examples.
    """
    train_set = (vectors[0][index], targets[index])
    if row.use_unlabelled:
        labels = np.full_like(targets, -1)
        labels[index] = targets[index]
        train_set = (vectors[0], labels)
    masks = [has_label(part.labels) for part in parts]
    probabilities = needs_probabilities(row, parts[0].labels.dtype)

    def fit_and_score(make: Callable[[], Any]) -> list[list[float]]:
        estimator = set_seed(make(), seed)
        estimator.fit(*train_set)
        return [
            predict_metrics(row, estimator, inputs[mask], part.labels[mask], probabilities)
            for part, inputs, mask in list(zip(parts, vectors, masks, strict=True))[1:]
        ]

    scores = []
    for choice, make in enumerate(row.candidates):
        try:
            with warnings.catch_warnings():
                # LabelSpreading divides 0 by 0 where no label reaches, and predicts class 0.
                text = "invalid value encountered in divide"
                warnings.filterwarnings("ignore", text, RuntimeWarning)
                scores.append(fit_and_score(make))
        except (TypeError, ValueError) as error:
            raise BadInput(f"row {row.name!r}, choice {choice}, seed {seed}: {error}") from error
    return scores


def set_seed(estimator: Any, seed: int) -> Any:
    """Sets every unset `random_state` of an estimator to a seed."""
    if hasattr(estimator, "get_params"):
        settings = estimator.get_params().items()
        unset = [name for name, value in settings if value is None and is_seed(name)]
        estimator.set_params(**dict.fromkeys(unset, seed))
    return estimator


def is_seed(name: str) -> bool:
    """Whether a parameter of an estimator, or of a nested one, is a `random_state`."""
    return name.rpartition("__")[2] == "random_state"


def result(row: SklearnBaseline, scores: np.ndarray) -> dict[str, Any]:
    """Makes a result in the format of runs from metrics `[S, candidates, 2, M]`.

    The third axis is validation and test; the first metric selects. It has no "last" and no "median", since there is a single fit. Ties select the first candidate,
    and so do metrics that are all NaN on validation.
    """
    metrics = row.task.metrics
    signs = np.array([1.0 if metric.higher_is_better else -1.0 for metric in metrics])
    signed = np.where(np.isnan(scores), -np.inf, signs * scores)
    best = signed[:, :, 0, 0].argmax(1)  # [S]
    best_on_test = signed[:, :, 1].argmax(1)  # [S, M]
    seeds = range(row.num_seeds)

    def entry(values: np.ndarray) -> dict[str, dict[str, float]]:
        named = zip(metrics, values, strict=True)
        return {row.task.name: {metric.name: float(value) for metric, value in named}}

    return {
        "name": row.name,
        "parameters": 0,
        "trained_parameters": 0,
        "seeds": [row.first_seed + seed for seed in seeds],
        "selected": [
            {
                "choice": int(best[seed]),
                "validation": entry(scores[seed, best[seed], 0]),
                "test": entry(scores[seed, best[seed], 1]),
            }
            for seed in seeds
        ],
        "best_on_test": [entry(np.diagonal(scores[seed, best_on_test[seed], 1])) for seed in seeds],
        "metrics": describe_metrics(row.tasks),
    }


def unlabelled_classes(
    row: SklearnBaseline, parts: tuple[Part, ...], targets: np.ndarray
) -> tuple[int, ...]:
    """Classes of validation or test without training labels; empty for regression."""
    if row.target_type == "continuous":
        return ()
    labels = np.concatenate([targets_of(row, part.labels) for part in parts[1:]])
    return tuple(np.setdiff1d(labels[labels >= 0], targets).tolist())


def warnings_of(
    row: SklearnBaseline, scores: np.ndarray, unlabelled: dict[int, tuple[int, ...]]
) -> list[str]:
    """Warnings for the reader of the table.

    Args:
      row: the fitted baseline.
      scores: metrics `[S, candidates, 2, M]` on validation and test.
      unlabelled: classes without training labels, by seed.
    """
    task, texts = row.task, []
    for index, part in enumerate(("validation", "test")):
        is_missing = np.all(np.isnan(scores[:, :, index, 0]), axis=1)
        seeds = [row.first_seed + seed for seed in range(row.num_seeds) if is_missing[seed]]
        several = part == "validation" and len(row.candidates) > 1
        choice = f", so the first of {len(row.candidates)} choices is taken" if several else ""
        if seeds:
            texts.append(
                f"{part} has no {task.selection_metric.name} of {task.name!r} in seeds {seeds}{choice}"
            )
    for classes in sorted({classes for classes in unlabelled.values() if classes}):
        seeds = [seed for seed in unlabelled if unlabelled[seed] == classes]
        text = f"no training label of {task.name!r} is of class {', '.join(map(str, classes))}"
        texts.append(f"{text}, which validation or test has, in seeds {seeds}")
    return texts
