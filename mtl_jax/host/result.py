"""From the measurements of a run to its result: selection on validation, for every seed."""

import math
from typing import Any

import numpy as np

from mtl_jax.run import Run

# Semi-supervised papers report the median of so many last evaluations.
MEDIAN_OF = 20


def host(values: Any) -> Any:
    """Device values as plain numbers and lists, which JSON prints the same every time."""
    if isinstance(values, dict):
        return {name: host(value) for name, value in values.items()}
    return np.asarray(values, np.float64).tolist()


def summary(run: Run, records: list[dict[str, Any]], parameters: int, trained: int) -> dict:
    """The final numbers of every seed.

    The best evaluation of a seed is the one with the best validation metric, averaged over
    tasks, among raw and averaged parameters; the first of equals. Test data only reports.

    Args:
      run: what was trained.
      records: the evaluations, by step.
      parameters: scalars in the model.
      trained: scalars that were trained.

    Returns:
      A dict of numbers that holds no time.
    """
    evaluated = [record for record in records if "test" in record]
    seeds = range(run.seeds)
    return {
        "name": run.name,
        "parameters": parameters,
        "trained_parameters": trained,
        "seeds": [run.first_seed + seed for seed in seeds],
        "selected": [selected(run, evaluated, seed) for seed in seeds],
        "last": [
            {kind: of_seed(evaluated[-1]["test"][kind], seed) for kind in ("raw", "ema")}
            for seed in seeds
        ],
        "median": [median_of(evaluated[-MEDIAN_OF:], seed) for seed in seeds],
        "best_on_test": [best_of(run, evaluated, seed) for seed in seeds],
    }


def median_of(records: list[dict[str, Any]], seed: int) -> dict[str, dict[str, float]]:
    """Medians of one seed's test metrics of the averaged parameters over evaluations."""
    each = [of_seed(record["test"]["ema"], seed) for record in records]
    return {
        task: {name: float(np.median([one[task][name] for one in each])) for name in metrics}
        for task, metrics in each[0].items()
    }


def best_of(run: Run, records: list[dict[str, Any]], seed: int) -> dict[str, dict[str, float]]:
    """One seed's best test metrics of all evaluations: chosen by test data, task by task."""
    best = {}
    for task in run.tasks:
        name = task.metric.name
        found = [
            of_seed(record["test"][kind], seed)[task.name][name]
            for record in records
            for kind in ("ema", "raw")
        ]
        choose = np.nanmax if task.metric.higher_is_better else np.nanmin
        best[task.name] = {name: float(choose(found)) if not np.isnan(found).all() else math.nan}
    return best


def selected(run: Run, records: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """The evaluation of one seed that validation chooses, and its test metrics."""
    best = max(
        ((record, kind) for record in records for kind in ("ema", "raw")),
        key=lambda choice: quality(run, choice[0]["validation"][choice[1]], seed),
    )
    record, kind = best
    return {
        "step": record["step"],
        "parameters": kind,
        "validation": of_seed(record["validation"][kind], seed),
        "test": of_seed(record["test"][kind], seed),
    }


def quality(run: Run, metrics: dict[str, Any], seed: int) -> float:
    """Average of the tasks' metrics of a seed, signed so that more is better; no number is the worst."""
    signed = [
        (1 if task.metric.higher_is_better else -1) * metrics[task.name][task.metric.name][seed]
        for task in run.tasks
    ]
    average = float(np.mean(signed))
    return -math.inf if math.isnan(average) else average


def of_seed(metrics: dict[str, Any], seed: int) -> dict[str, dict[str, float]]:
    """One seed's part of `{task: {metric: [S]}}`."""
    return {
        task: {name: values[seed] for name, values in each.items()}
        for task, each in metrics.items()
    }
