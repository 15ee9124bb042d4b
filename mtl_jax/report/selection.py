"""Which evaluation the result of a run is of: selection on validation, for every seed."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.run import Run, Task
from mtl_jax.metrics.predictions import is_unit_free
from mtl_jax.report.pareto_front import undominated

LAST = {"last": "raw", "last_ema": "ema"}


class Evaluation(NamedTuple):
    """One set of parameters that was evaluated."""

    step: int
    parameters: str  # "raw" or "ema"


def criterion(run: Run) -> str:
    """What a run selects by, in words: the last step, the metric or its mean, the mean rank."""
    if run.selection in LAST:
        return "last step"
    if run.selection == "per_task":
        return "metric of each task"
    tasks = selecting(run)
    if len(tasks) == 1:
        return "metric"
    alike = all(t.metric == tasks[0].metric and is_unit_free(t.metric) for t in tasks)
    return "mean metric" if alike else "mean rank"


def selecting(run: Run) -> list[Task]:
    """The tasks that take part in the selection."""
    return [task for task in run.tasks if task.selects]


def evaluations(record: dict[str, Any]) -> list[Evaluation]:
    """Both evaluations of a record: the averaged parameters come first in a tie."""
    return [Evaluation(record["step"], parameters) for parameters in ("ema", "raw")]


def qualities(
    tasks: Iterable[Task], records: Mapping[int, dict], pool: list[Evaluation], seed: int
) -> np.ndarray:
    """Validation metrics `[K, E]` of a seed, signed so that more is better.

    What is not finite is minus infinity, the worst.
    """

    def one(task: Task, evaluation: Evaluation) -> float:
        metrics = records[evaluation.step]["validation"][evaluation.parameters]
        value = metrics[task.name][task.metric.name][seed]
        signed = value if task.metric.higher_is_better else -value
        return signed if np.isfinite(signed) else -np.inf

    return np.array([[one(task, each) for each in pool] for task in tasks]).reshape(-1, len(pool))


def best(values: np.ndarray, by_rank: bool) -> int | None:
    """The place of the best of E evaluations, the first of equals; None if none can be judged.

    By the mean over tasks, or by the mean over tasks of the rank among the E, which no unit and
    no increasing function of a metric changes. A task without any finite value does not count.

    Args:
      values: `[K, E]`, more is better; minus infinity is the worst.
      by_rank: whether ranks are averaged.
    """
    from scipy import stats  # Takes long to import.

    judged = values[np.isfinite(values).any(1)]
    if by_rank and len(judged):
        return int(np.argmin(stats.rankdata(-judged, axis=1).mean(0)))
    mean = judged.mean(0) if len(judged) else np.array([-np.inf])
    return int(np.argmax(mean)) if np.isfinite(mean).any() else None


def groups(run: Run) -> dict[str, list[Task]]:
    """By task, the tasks by whose validation metrics its evaluation is selected."""
    if run.selection == "per_task":
        return {task.name: [task] for task in run.tasks}
    together = selecting(run)
    return {task.name: together for task in run.tasks}


def select(run: Run, records: Mapping[int, dict], seed: int) -> dict[str, Evaluation]:
    """By task, the evaluation that the result of a seed is of.

    Where nothing can be judged it is the last one, of the raw parameters.

    Args:
      run: what is trained.
      records: the evaluations, by step.
      seed: its place among the run's.
    """
    last = Evaluation(max(records), LAST.get(run.selection, "raw"))
    if run.selection in LAST:
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
    """Those of some evaluations that later ones cannot rule out; `select` takes one of them.

    By the mean that is the best one; by the rank, those that no other equals or exceeds in
    every task and exceeds in one, of equals the first: a later evaluation never turns their
    order.
    """
    if run.selection in LAST:
        return []
    if criterion(run) == "mean rank":
        values = qualities(selecting(run), records, pool, seed)
        _, first = np.unique(values, axis=1, return_index=True)
        kept = np.isin(np.arange(len(pool)), first) & undominated(values.T)
        return [each for each, keep in zip(pool, kept, strict=True) if keep]
    places = {best(qualities(tasks, records, pool, seed), False) for tasks in groups(run).values()}
    return [pool[place] for place in sorted(places - {None})]


def unjudged(run: Run, records: Mapping[int, dict]) -> list[str]:
    """Names of the selecting tasks whose validation metric is finite in no evaluation."""
    pool = [each for step in records for each in evaluations(records[step])]
    return [
        task.name
        for task in selecting(run)
        if run.selection not in LAST
        and not any(
            np.isfinite(qualities([task], records, pool, seed)).any() for seed in range(run.seeds)
        )
    ]
