"""Fits scikit-learn baselines, and writes their results in the format of runs."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.validation import BadInput
from mtl_jax.data import has_label
from mtl_jax.runner.predict import predict_source, transferability_scores
from mtl_jax.runner.sklearn_data import (
    Part,
    draw_labelled,
    needs_probabilities,
    parts_of,
    targets_of,
    vectors_of,
)
from mtl_jax.runner.sklearn_predict import predict_outputs
from mtl_jax.storage.loading import seeds_of
from mtl_jax.storage.run_directory import RunDirectory

Vectors = tuple[np.ndarray, ...]  # train, validation and test, each [N, D]


def fit(row: SklearnBaseline, folder: RunDirectory, source: RunDirectory | None = None) -> None:
    """Fits a row that passed `sklearn_data.check` for all its seeds, and writes its result.

    Args:
      row: the baseline to fit.
      folder: the folder of the row, already claimed.
      source: the folder of the finished run whose features the row uses, if any.

    Raises:
      BadInput: if the data lacks the task's labels, or has fewer labels than requested; and if
        an estimator raises, naming the row, candidate and seed.
    """
    began = time.perf_counter()
    each = [parts_of(row, seed) for seed in seeds_of(row)]
    read = None
    if row.features_from is not None:
        images = [[part.image for part in named] for named in zip(*each, strict=True)]
        read = [predict_source(row.features_from, source, own, row.parameters) for own in images]
    found, promised, lacking = [], [], {}
    for place, (seed, parts) in enumerate(zip(seeds_of(row), each, strict=True)):
        targets = targets_of(row, parts[0].labels)
        index = draw_labelled(row, parts[0].labels, seed)
        if read is None:
            vectors = tuple(vectors_of(part.image) for part in parts)
        else:
            vectors = tuple(each.features[place] for each in read)
            said = read[0].probabilities[place][index]
            promised.append(transferability_scores(vectors[0][index], said, targets[index]))
        found.append(scored(row, seed, parts, vectors, targets, index))
        lacking[seed] = unlabelled_classes(row, parts, targets[index])
    seconds = round(time.perf_counter() - began, 3)
    told = {"promises": promised} if promised else {}
    told["warnings"] = warnings_of(row, np.array(found), lacking)
    folder.write_result({**result(row, np.array(found)), **told}, {"seconds": seconds})


def scored(
    row: SklearnBaseline,
    seed: int,
    parts: tuple[Part, ...],
    vectors: Vectors,
    targets: np.ndarray,
    index: np.ndarray,
) -> list[list[float]]:
    """The task's metric of every candidate on the labelled examples of validation and test.

    Args:
      row: the baseline to fit.
      seed: the seed of the labelled subset.
      parts: train, validation and test.
      vectors: input vectors of the parts.
      targets: training labels in the format of estimators.
      index: indices of the labelled training examples.
    """
    given = (vectors[0][index], targets[index])
    if row.use_unlabelled:
        labels = np.full_like(targets, -1)
        labels[index] = targets[index]
        given = (vectors[0], labels)
    known = [has_label(part.labels) for part in parts]
    probable = needs_probabilities(row, parts[0].labels.dtype)

    def of(make: Callable[[], Any]) -> list[float]:
        estimator = seeded(make(), seed)
        estimator.fit(*given)
        return [
            predict_outputs(row, estimator, x[rows], part.labels[rows], probable)
            for part, x, rows in list(zip(parts, vectors, known, strict=True))[1:]
        ]

    found = []
    for place, make in enumerate(row.candidates):
        try:
            with warnings.catch_warnings():
                # LabelSpreading divides 0 by 0 where no label reaches, and predicts class 0.
                text = "invalid value encountered in divide"
                warnings.filterwarnings("ignore", text, RuntimeWarning)
                found.append(of(make))
        except (TypeError, ValueError) as wrong:
            raise BadInput(f"row {row.name!r}, choice {place}, seed {seed}: {wrong}") from wrong
    return found


def seeded(estimator: Any, seed: int) -> Any:
    """Sets every unset `random_state` of an estimator to a seed."""
    if hasattr(estimator, "get_params"):
        settings = estimator.get_params().items()
        free = [name for name, value in settings if value is None and is_seed(name)]
        estimator.set_params(**dict.fromkeys(free, seed))
    return estimator


def is_seed(name: str) -> bool:
    """Whether a parameter of an estimator, or of a nested one, is a `random_state`."""
    return name.rpartition("__")[2] == "random_state"


def result(row: SklearnBaseline, found: np.ndarray) -> dict[str, Any]:
    """Makes a result in the format of runs from metrics `[S, candidates, 2]`, validation and test.

    It has no "last" and no "median", since there is a single fit. Ties select the first candidate,
    and so do metrics that are all NaN on validation.
    """
    sign = 1.0 if row.task.metric.higher_is_better else -1.0
    signed = np.where(np.isnan(found), -np.inf, sign * found)
    best, best_on_test = signed.argmax(1).T  # [S] each
    seeds = range(row.num_seeds)

    def entry(value: float) -> dict[str, dict[str, float]]:
        return {row.task.name: {row.task.metric.name: float(value)}}

    return {
        "name": row.name,
        "parameters": 0,
        "trained_parameters": 0,
        "seeds": [row.first_seed + seed for seed in seeds],
        "selected": [
            {
                "choice": int(best[seed]),
                "validation": entry(found[seed, best[seed], 0]),
                "test": entry(found[seed, best[seed], 1]),
            }
            for seed in seeds
        ],
        "best_on_test": [entry(found[seed, best_on_test[seed], 1]) for seed in seeds],
    }


def unlabelled_classes(
    row: SklearnBaseline, parts: tuple[Part, ...], given: np.ndarray
) -> tuple[int, ...]:
    """Classes of validation or test without training labels; empty for regression."""
    if row.target_type == "continuous":
        return ()
    judged_on = np.concatenate([targets_of(row, part.labels) for part in parts[1:]])
    return tuple(np.setdiff1d(judged_on[judged_on >= 0], given).tolist())


def warnings_of(
    row: SklearnBaseline, found: np.ndarray, lacking: dict[int, tuple[int, ...]]
) -> list[str]:
    """Warnings for the reader of the table.

    Args:
      row: the fitted baseline.
      found: metrics `[S, candidates, 2]` on validation and test.
      lacking: classes without training labels, by seed.
    """
    task, told = row.task, []
    for place, part in enumerate(("validation", "test")):
        none = [
            row.first_seed + s for s in range(row.num_seeds) if np.isnan(found[s, :, place]).all()
        ]
        several = part == "validation" and len(row.candidates) > 1
        chosen = f", so the first of {len(row.candidates)} choices is taken" if several else ""
        if none:
            told.append(
                f"{part} has no {task.metric.name} of {task.name!r} in seeds {none}{chosen}"
            )
    for classes in sorted({each for each in lacking.values() if each}):
        seeds = [seed for seed, each in lacking.items() if each == classes]
        text = f"no training label of {task.name!r} is of class {', '.join(map(str, classes))}"
        told.append(f"{text}, which validation or test has, in seeds {seeds}")
    return told
