"""Model selection on validation metrics, for every seed."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.report.pareto_front import undominated

LAST = {"last": "raw", "last_ema": "ema"}


class Evaluation(NamedTuple):
    """An evaluated set of parameters."""

    step: int
    parameters: str  # "raw" or "ema"


def criterion(run: Run) -> str:
    """Describes the selection criterion: last step, metric, mean metric or mean rank."""
    if run.evaluation.selection in LAST:
        return "last step"
    if run.evaluation.selection == "per_task":
        return "metric of each task"
    tasks = selecting(run)
    if len(tasks) == 1:
        return "metric"
    alike = all(t.metric == tasks[0].metric and t.metric.unit_free for t in tasks)
    return "mean metric" if alike else "mean rank"


def selecting(run: Run) -> list[Task]:
    """The tasks that take part in the selection."""
    return [task for task in run.tasks if task.selects]


def evaluations(record: dict[str, Any]) -> list[Evaluation]:
    """Both evaluations of a record; the EMA parameters come first and so win ties."""
    return [Evaluation(record["step"], parameters) for parameters in ("ema", "raw")]


def qualities(
    tasks: Iterable[Task], records: Mapping[int, dict], pool: list[Evaluation], seed: int
) -> np.ndarray:
    """Validation metrics `[K, E]` of a seed, signed so that higher is better.

    Values that are not finite become minus infinity, the worst.
    """

    def one(task: Task, evaluation: Evaluation) -> float:
        metrics = records[evaluation.step]["validation"][evaluation.parameters]
        value = metrics[task.name][task.metric.name][seed]
        signed = value if task.metric.higher_is_better else -value
        return signed if np.isfinite(signed) else -np.inf

    return np.array([[one(task, each) for each in pool] for task in tasks]).reshape(-1, len(pool))


def best(values: np.ndarray, by_rank: bool) -> int | None:
    """Index of the best of E evaluations, the first in a tie; None if no value is finite.

    The best has the highest mean over tasks, or the best mean rank among the E, which is invariant
    to increasing transformations of a metric. Tasks without any finite value are ignored.

    Args:
      values: `[K, E]`, higher is better; minus infinity is the worst.
      by_rank: whether ranks are averaged instead of values.
    """
    from scipy import stats  # Takes long to import.

    judged = values[np.isfinite(values).any(1)]
    if by_rank and len(judged):
        return int(np.argmin(stats.rankdata(-judged, axis=1).mean(0)))
    mean = judged.mean(0) if len(judged) else np.array([-np.inf])
    return int(np.argmax(mean)) if np.isfinite(mean).any() else None


def groups(run: Run) -> dict[str, list[Task]]:
    """For each task, the tasks whose validation metrics select its evaluation."""
    if run.evaluation.selection == "per_task":
        return {task.name: [task] for task in run.tasks}
    together = selecting(run)
    return {task.name: together for task in run.tasks}


def select(run: Run, records: Mapping[int, dict], seed: int) -> dict[str, Evaluation]:
    """Selected evaluation of a seed, by task.

    If no validation metric is finite, it is the last one, with the raw parameters.

    Args:
      run: the run.
      records: the evaluations, by step.
      seed: index of the seed.
    """
    last = Evaluation(max(records), LAST.get(run.evaluation.selection, "raw"))
    if run.evaluation.selection in LAST:
        return {task.name: last for task in run.tasks}
    pool = [each for step in sorted(records) for each in evaluations(records[step])]
    by_rank = criterion(run) == "mean rank"
    found = {}
    for name, tasks in groups(run).items():
        place = best(qualities(tasks, records, pool, seed), by_rank)
        found[name] = last if place is None else pool[place]
    return found


def candidates(
    run: Run, records: Mapping[int, dict], pool: list[Evaluation], seed: int
) -> list[Evaluation]:
    """Evaluations that may still be selected by `select`, whatever later evaluations are.

    For the mean, that is the best one so far; for the mean rank, the nondominated ones, and the
    first of equal ones: a later evaluation never reverses the order of a dominated pair.
    """
    if run.evaluation.selection in LAST:
        return []
    if criterion(run) == "mean rank":
        values = qualities(selecting(run), records, pool, seed)
        _, first = np.unique(values, axis=1, return_index=True)
        kept = np.isin(np.arange(len(pool)), first) & undominated(values.T)
        return [each for each, keep in zip(pool, kept, strict=True) if keep]
    places = {best(qualities(tasks, records, pool, seed), False) for tasks in groups(run).values()}
    return [pool[place] for place in sorted(places - {None})]


def unjudged(run: Run, records: Mapping[int, dict]) -> list[str]:
    """Names of the selecting tasks whose validation metric is never finite."""
    pool = [each for step in records for each in evaluations(records[step])]
    return [
        task.name
        for task in selecting(run)
        if run.evaluation.selection not in LAST
        and not any(
            np.isfinite(qualities([task], records, pool, seed)).any()
            for seed in range(run.num_seeds)
        )
    ]
