"""Fits the rows of scikit-learn's estimators, and writes results as runs do."""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.core.validation import BadInput
from mtl_jax.data import has_label
from mtl_jax.runner.predict import promises, read_out
from mtl_jax.runner.sklearn_data import (
    Part,
    drawn,
    needs_probabilities,
    parts_of,
    targets_of,
    vectors_of,
)
from mtl_jax.runner.sklearn_predict import judged
from mtl_jax.storage.loading import seeds_of
from mtl_jax.storage.run_directory import Folder

Vectors = tuple[np.ndarray, ...]  # of train, validation and test, each [N, D]


def fit(row: Classic, folder: Folder, source: Folder | None = None) -> None:
    """Fits a row, which `classic_data.check` accepts, for all its seeds and writes its result.

    Args:
      row: what is fitted.
      folder: its folder, claimed already.
      source: that of the run whose features it reads, which is finished.

    Raises:
      BadInput: if the data lacks the task's labels, or there are fewer labels than asked for;
        and for what an estimator refuses, naming row, choice and seed.
    """
    began = time.perf_counter()
    each = [parts_of(row, seed) for seed in seeds_of(row)]
    read = None
    if row.features is not None:
        images = [[part.image for part in named] for named in zip(*each, strict=True)]
        read = [read_out(row.features, source, own, row.parameters) for own in images]
    found, promised, lacking = [], [], {}
    for place, (seed, parts) in enumerate(zip(seeds_of(row), each, strict=True)):
        targets = targets_of(row, parts[0].labels)
        index = drawn(row, parts[0].labels, seed)
        if read is None:
            vectors = tuple(vectors_of(part.image) for part in parts)
        else:
            vectors = tuple(each.features[place] for each in read)
            said = read[0].probabilities[place][index]
            promised.append(promises(vectors[0][index], said, targets[index]))
        found.append(scored(row, seed, parts, vectors, targets, index))
        lacking[seed] = unlabelled_classes(row, parts, targets[index])
    seconds = round(time.perf_counter() - began, 3)
    told = {"promises": promised} if promised else {}
    told["warnings"] = warnings_of(row, np.array(found), lacking)
    folder.finish({**result(row, np.array(found)), **told}, {"seconds": seconds})


def scored(
    row: Classic,
    seed: int,
    parts: tuple[Part, ...],
    vectors: Vectors,
    targets: np.ndarray,
    index: np.ndarray,
) -> list[list[float]]:
    """The task's metric on validation and test of every choice, of the examples with a label.

    Args:
      row: what is fitted.
      seed: of the labels.
      parts: train, validation and test.
      vectors: theirs.
      targets: labels of train as estimators take them.
      index: places of the training examples that have labels.
    """
    given = (vectors[0][index], targets[index])
    if row.pool:
        labels = np.full_like(targets, -1)
        labels[index] = targets[index]
        given = (vectors[0], labels)
    known = [has_label(part.labels) for part in parts]
    probable = needs_probabilities(row, parts[0].labels.dtype)

    def of(make: Callable[[], Any]) -> list[float]:
        estimator = seeded(make(), seed)
        estimator.fit(*given)
        return [
            judged(row, estimator, x[rows], part.labels[rows], probable)
            for part, x, rows in list(zip(parts, vectors, known, strict=True))[1:]
        ]

    found = []
    for place, make in enumerate(row.choices):
        try:
            with warnings.catch_warnings():
                # Of points that no label reaches, LabelSpreading divides 0 by 0 and says class 0.
                text = "invalid value encountered in divide"
                warnings.filterwarnings("ignore", text, RuntimeWarning)
                found.append(of(make))
        except (TypeError, ValueError) as wrong:
            raise BadInput(f"row {row.name!r}, choice {place}, seed {seed}: {wrong}") from wrong
    return found


def seeded(estimator: Any, seed: int) -> Any:
    """An estimator whose random choices are those of a seed, where it has none of its own."""
    if hasattr(estimator, "get_params"):
        settings = estimator.get_params().items()
        free = [name for name, value in settings if value is None and is_seed(name)]
        estimator.set_params(**dict.fromkeys(free, seed))
    return estimator


def is_seed(name: str) -> bool:
    """Whether a setting of an estimator, or of one within it, is the seed of random choices."""
    return name.rpartition("__")[2] == "random_state"


def result(row: Classic, found: np.ndarray) -> dict[str, Any]:
    """The result of metrics `[S, choices, 2]` on validation and test, in the form of a run's.

    It has no "last" and no "median", as there is one fit. The first of equal choices is taken, and
    the first of all where validation has no number.
    """
    sign = 1.0 if row.task.metric.higher_is_better else -1.0
    signed = np.where(np.isnan(found), -np.inf, sign * found)
    best, best_on_test = signed.argmax(1).T  # [S] each
    seeds = range(row.seeds)

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


def unlabelled_classes(row: Classic, parts: tuple[Part, ...], given: np.ndarray) -> tuple[int, ...]:
    """Classes of validation or test that no label of training has; of numbers none."""
    if row.target_type == "continuous":
        return ()
    judged_on = np.concatenate([targets_of(row, part.labels) for part in parts[1:]])
    return tuple(np.setdiff1d(judged_on[judged_on >= 0], given).tolist())


def warnings_of(row: Classic, found: np.ndarray, lacking: dict[int, tuple[int, ...]]) -> list[str]:
    """What a reader of the table should know.

    Args:
      row: what was fitted.
      found: metrics `[S, choices, 2]` on validation and test.
      lacking: by seed, classes that no training label has.
    """
    task, told = row.task, []
    for place, part in enumerate(("validation", "test")):
        none = [row.first_seed + s for s in range(row.seeds) if np.isnan(found[s, :, place]).all()]
        several = part == "validation" and len(row.choices) > 1
        chosen = f", so the first of {len(row.choices)} choices is taken" if several else ""
        if none:
            told.append(
                f"{part} has no {task.metric.name} of {task.name!r} in seeds {none}{chosen}"
            )
    for classes in sorted({each for each in lacking.values() if each}):
        seeds = [seed for seed, each in lacking.items() if each == classes]
        text = f"no training label of {task.name!r} is of class {', '.join(map(str, classes))}"
        told.append(f"{text}, which validation or test has, in seeds {seeds}")
    return told
