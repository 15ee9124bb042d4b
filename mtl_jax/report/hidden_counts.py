"""Reads how predictions of training examples compare with their hidden labels, by class."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.storage.run_directory import RunDirectory


class HiddenCounts(NamedTuple):
    """Numbers of entries by class at T evaluations, see `mtl_jax.train.hidden_labels`."""

    steps: list[int]  # [T]
    true: np.ndarray  # [T, S, C]
    predicted: np.ndarray
    correct: np.ndarray
    confident: np.ndarray
    confident_correct: np.ndarray


def read_hidden_counts(run: Run, folder: RunDirectory) -> dict[str, HiddenCounts]:
    """The counts of a run by task, without tasks that have none."""
    measured = [
        (record["step"], by_task)
        for record in folder.records()
        for by_task in [merge_models(record.get("unlabelled", {}).values())]
    ]
    found = {}
    for task in run.tasks:
        own = [(step, by_task[task.name]) for step, by_task in measured if task.name in by_task]
        if own:
            counts = {
                name: np.array([by_name[name] for _, by_name in own], float)
                for name in HiddenCounts._fields[1:]
            }
            found[task.name] = HiddenCounts([step for step, _ in own], **counts)
    return found


def merge_models(by_model: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts by task; one model predicts each task."""
    return {task: counts for by_task in by_model for task, counts in by_task.items()}


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ma.MaskedArray:
    """Quotient of counts, masked where the denominator is 0 or a count is NaN."""
    return np.ma.masked_invalid(numerator) / np.ma.masked_equal(denominator, 0.0)
