"""Result of a run, computed from its measurements."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.report.final_metrics import FinalMetrics, metrics_of_records
from mtl_jax.report.overfitting import overfitting
from mtl_jax.report.selection import criterion, select, tasks_without_metric

# Semi-supervised papers report the median over this number of last evaluations.
MEDIAN_OF = 20


def to_json(values: Any) -> Any:
    """Converts arrays to Python floats and lists, for reproducible JSON."""
    if isinstance(values, dict):
        return {name: to_json(value) for name, value in values.items()}
    return np.asarray(values, np.float64).tolist()


def summary(
    run: Run,
    records: Sequence[Mapping[str, Any]],
    parameters: int,
    trained: int,
    final: FinalMetrics | None = None,
) -> dict:
    """Final results of every seed; see `mtl_jax.report.selection` for the selection.

    Args:
      run: the run.
      records: the evaluations, in order of steps.
      parameters: number of parameters of the model.
      trained: number of trained parameters.
      final: the test metrics; None takes them, and more, from the records.

    Returns:
      A JSON-serializable dict without timings.
    """
    evaluated = {record["step"]: record for record in records if "validation" in record}
    seeds = range(run.num_seeds)
    found = final or metrics_of_records(run, evaluated)
    return {
        "name": run.name,
        "parameters": parameters,
        "trained_parameters": trained,
        "seeds": [run.first_seed + seed for seed in seeds],
        "selection": criterion(run),
        "selected": [selected_metrics(run, evaluated, found, seed) for seed in seeds],
        "last_step": max(evaluated),
        "last": [
            {kind: select_seed(found.last[kind], seed) for kind in ("raw", "ema")} for seed in seeds
        ],
        "evaluations": len(evaluated),
        **(history_metrics(run, list(evaluated.values())) if final is None else {}),
        "warnings": warnings_of(run, evaluated, found),
        "metrics": describe_metrics(run.tasks),
    }


def history_metrics(run: Run, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What papers report of the test metrics of all evaluations."""
    seeds, tail = range(run.num_seeds), records[-MEDIAN_OF:]
    return {
        "median_of": len(tail),
        "median": [median_of(tail, seed) for seed in seeds],
        "best_on_test": [best_of(run, records, seed) for seed in seeds],
    }


def describe_metrics(tasks: Sequence[Task]) -> dict[str, dict[str, dict[str, Any]]]:
    """How to read the values of each task's metrics without the code that computed them."""
    return {
        task.name: {
            metric.name: {
                "higher_is_better": metric.higher_is_better,
                "scale": metric.scale,
                "unit_free": metric.unit_free,
            }
            for metric in task.metrics
        }
        for task in tasks
    }


def median_of(records: Sequence[Mapping[str, Any]], seed: int) -> dict[str, dict[str, float]]:
    """Medians over evaluations of one seed's test metrics with the EMA parameters."""
    metrics = [select_seed(record["test"]["ema"], seed) for record in records]
    return {
        task: {name: float(np.median([entry[task][name] for entry in metrics])) for name in names}
        for task, names in metrics[0].items()
    }


def best_of(
    run: Run, records: Sequence[Mapping[str, Any]], seed: int
) -> dict[str, dict[str, float]]:
    """One seed's best test metrics over all evaluations, each selected on test data."""
    best = {task.name: {} for task in run.tasks}
    for name, metric in ((task.name, metric) for task in run.tasks for metric in task.metrics):
        values = [
            select_seed(record["test"][kind], seed)[name][metric.name]
            for record in records
            for kind in ("ema", "raw")
        ]
        choose = np.nanmax if metric.higher_is_better else np.nanmin
        value = math.nan if np.isnan(values).all() else float(choose(values))
        best[name][metric.name] = value
    return best


def selected_metrics(
    run: Run, records: Mapping[int, Mapping[str, Any]], final: FinalMetrics, seed: int
) -> dict[str, Any]:
    """Selected evaluation of one seed, with its validation and test metrics.

    Step and parameters are shared by all tasks, or by task if the run selects per task.
    """
    selected = select(run, records, seed)
    validation = {
        task: select_seed(records[found.step]["validation"][found.parameters], seed)[task]
        for task, found in selected.items()
    }
    steps = {task: found.step for task, found in selected.items()}
    kinds = {task: found.parameters for task, found in selected.items()}
    per_task = run.evaluation.selection == "per_task"
    first = run.tasks[0].name
    return {
        "step": steps if per_task else steps[first],
        "parameters": kinds if per_task else kinds[first],
        "validation": validation,
        "test": select_seed(final.selected, seed),
    }


def not_finite(counts: Mapping[str, Any]) -> dict[str, Any]:
    """Record entry with the counts of nonfinite outputs, `{split: {model: {task: [S]}}}`, if any."""
    any_nonfinite = any(
        np.any(count)
        for split in counts.values()
        for model in split.values()
        for count in model.values()
    )
    return {"not_finite": counts} if any_nonfinite else {}


def warnings_of(
    run: Run, records: Mapping[int, Mapping[str, Any]], final: FinalMetrics
) -> list[str]:
    """Warnings about the results of a run, one line each."""
    texts = [*stopped_early(run, records), *overfitting(run, records)]
    missing = tasks_without_metric(run, records)
    if missing:
        names = ", ".join(map(repr, missing))
        texts.append(
            f"validation judges {names} in no evaluation (labels are missing, or the metric is not "
            f"finite): {'they do' if len(missing) > 1 else 'it does'} not take part in the selection"
        )
    tests = {max(records): final.not_finite} if final.not_finite else records
    texts += nonfinite_outputs(run, "validation", records)
    return [*texts, *nonfinite_outputs(run, "test", tests)]


def nonfinite_outputs(
    run: Run, split: str, records: Mapping[int, Mapping[str, Any]]
) -> Iterator[str]:
    """A line for each task with outputs that are not finite, in evaluations of a split."""
    for task in run.tasks:
        counts = {
            step: max(np.max(model[task.name]) for model in record["not_finite"][split].values())
            for step, record in records.items()
            if split in record.get("not_finite", {})
        }
        nonfinite = {step: int(count) for step, count in counts.items() if count > 0}
        if nonfinite:
            yield (
                f"task {task.name!r}, {split} part: outputs that are not finite for up to "
                f"{max(nonfinite.values())} examples in {len(nonfinite)} of {len(records)} "
                f"evaluations, the last at step {max(nonfinite)}; the metric is NaN there"
            )


def stopped_early(run: Run, records: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """A line that says at which step a run stopped early, if it did."""
    last = max(records)
    if run.evaluation.patience is None or last == run.steps:
        return []
    return [
        (
            f"stopped at step {last} of {run.steps}: validation selected none of the last "
            f"{run.evaluation.patience} evaluations in any seed"
        )
    ]


def select_seed(metrics: Mapping[str, Any], seed: int) -> dict[str, dict[str, float]]:
    """Values of one seed from `{task: {metric: [S]}}`."""
    return {
        task: {name: values[seed] for name, values in by_name.items()}
        for task, by_name in metrics.items()
    }
