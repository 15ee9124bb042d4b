"""Fits the rows of scikit-learn's estimators, and writes results as runs do."""

import time
import warnings
from typing import Any

import numpy as np

from mtl_jax.checks import BadInput
from mtl_jax.classic import Classic
from mtl_jax.data import few_labels
from mtl_jax.host.folder import Folder
from mtl_jax.host.prepare import load
from mtl_jax.host.read import promises, read_out

Part = tuple[np.ndarray, np.ndarray]  # vectors [N, D], classes [N]


def fit(row: Classic, folder: Folder, source: Folder | None = None) -> None:
    """Fits a row for all its seeds and writes its result.

    Args:
      row: what is fitted.
      folder: its folder, claimed already.
      source: that of the run whose features it reads, which is finished.

    Raises:
      BadInput: if the data lacks the task's classes, or there are fewer labels than asked for.
    """
    began = time.perf_counter()
    train, validation, test = (part_of(row, name) for name in ("train", "validation", "test"))
    read = None
    if row.features is not None:
        images = [
            getattr(load(row.data), name)["image"] for name in ("train", "validation", "test")
        ]
        read = [read_out(row.features, source, part) for part in images]
    found, promised = [], []
    for place in range(row.seeds):
        labels = {row.task.name: train[1]}
        seed = row.first_seed + place
        index, _ = few_labels(labels, row.labelled, partial=False, seed=seed)
        parts = (train, validation, test)
        if read is not None:
            seen = zip(read, parts, strict=True)
            parts = tuple((each.features[place], part[1]) for each, part in seen)
            said = read[0].probabilities[place][index]
            promised.append(promises(parts[0][0][index], said, train[1][index]))
        own, *judged = parts
        given = pool(own, index) if row.pool else (own[0][index], own[1][index])
        found.append([scored(make(), given, *judged) for make in row.choices])
    seconds = round(time.perf_counter() - began, 3)
    told = {"promises": promised} if promised else {}
    folder.finish({**result(row, np.array(found)), **told}, {"seconds": seconds})


def part_of(row: Classic, name: str) -> Part:
    """Vectors and classes of a part of the data."""
    arrays = getattr(load(row.data), name)
    for key in ("image", row.task.name):
        if key not in arrays:
            raise BadInput(f"row {row.name!r}: the {name} data has no {key!r}")
    images = np.asarray(arrays["image"])
    vectors = images.reshape(len(images), -1).astype(np.float32)
    return vectors / np.float32(255 if images.dtype == np.uint8 else 1), arrays[row.task.name]


def pool(train: Part, index: np.ndarray) -> Part:
    """All training images; the labels that are not known are -1."""
    labels = np.full_like(train[1], -1)
    labels[index] = train[1][index]
    return train[0], labels


def scored(estimator: Any, given: Part, validation: Part, test: Part) -> list[float]:
    """Share of right answers on validation and test after fitting."""
    with warnings.catch_warnings():
        # Of points that no label reaches, LabelSpreading divides 0 by 0 and says class 0.
        warnings.filterwarnings("ignore", "invalid value encountered in divide", RuntimeWarning)
        estimator.fit(*given)
        return [float(np.mean(estimator.predict(x) == y)) for x, y in (validation, test)]


def result(row: Classic, found: np.ndarray) -> dict[str, Any]:
    """The result of accuracies `[S, choices, 2]`, in the form of a run's."""
    best = found[:, :, 0].argmax(1)
    seeds = range(row.seeds)

    def entry(value: float) -> dict[str, dict[str, float]]:
        return {row.task.name: {row.task.metric.name: float(value)}}

    chosen = [entry(found[seed, best[seed], 1]) for seed in seeds]
    return {
        "name": row.name,
        "parameters": 0,
        "trained_parameters": 0,
        "seeds": [row.first_seed + seed for seed in seeds],
        "selected": [{"choice": int(best[seed]), "test": chosen[seed]} for seed in seeds],
        "last": [{"raw": each, "ema": each} for each in chosen],
        "median": chosen,
        "best_on_test": [entry(found[seed, :, 1].max()) for seed in seeds],
    }
