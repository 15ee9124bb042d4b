"""Result of a run, computed from its measurements."""

import math
from typing import Any

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.report.selection import criterion, select, unjudged

# Semi-supervised papers report the median over this number of last evaluations.
MEDIAN_OF = 20


def to_json(values: Any) -> Any:
    """Converts arrays to Python floats and lists, for reproducible JSON."""
    if isinstance(values, dict):
        return {name: to_json(value) for name, value in values.items()}
    return np.asarray(values, np.float64).tolist()


def summary(run: Run, records: list[dict[str, Any]], parameters: int, trained: int) -> dict:
    """Final results of every seed; see `mtl_jax.report.selection` for the selection.

    Args:
      run: the run.
      records: the evaluations, in order of steps.
      parameters: number of parameters of the model.
      trained: number of trained parameters.

    Returns:
      A JSON-serializable dict without timings.
    """
    evaluated = {record["step"]: record for record in records if "test" in record}
    seeds, last = range(run.num_seeds), evaluated[max(evaluated)]
    tail = list(evaluated.values())[-MEDIAN_OF:]
    return {
        "name": run.name,
        "parameters": parameters,
        "trained_parameters": trained,
        "seeds": [run.first_seed + seed for seed in seeds],
        "selection": criterion(run),
        "selected": [selected(run, evaluated, seed) for seed in seeds],
        "last_step": last["step"],
        "last": [
            {kind: select_seed(last["test"][kind], seed) for kind in ("raw", "ema")}
            for seed in seeds
        ],
        "evaluations": len(evaluated),
        "median_of": len(tail),
        "median": [median_of(tail, seed) for seed in seeds],
        "best_on_test": [best_of(run, list(evaluated.values()), seed) for seed in seeds],
        "warnings": warnings_of(run, evaluated),
    }


def median_of(records: list[dict[str, Any]], seed: int) -> dict[str, dict[str, float]]:
    """Medians over evaluations of one seed's test metrics with the EMA parameters."""
    each = [select_seed(record["test"]["ema"], seed) for record in records]
    return {
        task: {name: float(np.median([one[task][name] for one in each])) for name in metrics}
        for task, metrics in each[0].items()
    }


def best_of(run: Run, records: list[dict[str, Any]], seed: int) -> dict[str, dict[str, float]]:
    """One seed's best test metrics over all evaluations, selected on test data per task."""
    best = {}
    for task in run.tasks:
        name = task.metric.name
        found = [
            select_seed(record["test"][kind], seed)[task.name][name]
            for record in records
            for kind in ("ema", "raw")
        ]
        choose = np.nanmax if task.metric.higher_is_better else np.nanmin
        best[task.name] = {name: float(choose(found)) if not np.isnan(found).all() else math.nan}
    return best


def selected(run: Run, records: dict[int, dict[str, Any]], seed: int) -> dict[str, Any]:
    """Selected evaluation of one seed, with its validation and test metrics.

    Step and parameters are shared by all tasks, or by task if the run selects per task.
    """
    chosen = select(run, records, seed)

    def of(part: str) -> dict[str, dict[str, float]]:
        return {
            task: select_seed(records[each.step][part][each.parameters], seed)[task]
            for task, each in chosen.items()
        }

    steps = {task: each.step for task, each in chosen.items()}
    kinds = {task: each.parameters for task, each in chosen.items()}
    own = run.evaluation.selection == "per_task"
    first = run.tasks[0].name
    return {
        "step": steps if own else steps[first],
        "parameters": kinds if own else kinds[first],
        "validation": of("validation"),
        "test": of("test"),
    }


def not_finite(counts: dict[str, Any]) -> dict[str, Any]:
    """Record entry with the counts of nonfinite outputs, `{part: {model: {task: [S]}}}`, if any."""
    some = any(
        np.any(each)
        for part in counts.values()
        for model in part.values()
        for each in model.values()
    )
    return {"not_finite": counts} if some else {}


def warnings_of(run: Run, records: dict[int, dict[str, Any]]) -> list[str]:
    """Warnings about the results of a run, one line each."""
    texts = []
    lacking = unjudged(run, records)
    if lacking:
        names = ", ".join(map(repr, lacking))
        texts.append(
            f"validation judges {names} in no evaluation (labels are missing, or the metric is not "
            f"finite): {'they do' if len(lacking) > 1 else 'it does'} not take part in the selection"
        )
    for task in run.tasks:
        for part in ("validation", "test"):
            found = {
                step: max(np.max(model[task.name]) for model in record["not_finite"][part].values())
                for step, record in records.items()
                if "not_finite" in record
            }
            bad = {step: int(count) for step, count in found.items() if count > 0}
            if bad:
                texts.append(
                    f"task {task.name!r}, {part} part: outputs that are not finite for up to "
                    f"{max(bad.values())} examples in {len(bad)} of {len(records)} evaluations, the "
                    f"last at step {max(bad)}; the metric is NaN there"
                )
    return texts


def select_seed(metrics: dict[str, Any], seed: int) -> dict[str, dict[str, float]]:
    """Values of one seed from `{task: {metric: [S]}}`."""
    return {
        task: {name: values[seed] for name, values in each.items()}
        for task, each in metrics.items()
    }
