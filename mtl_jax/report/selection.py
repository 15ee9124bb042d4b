"""Model selection on validation metrics, for every seed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.report.pareto_front import nondominated

LAST = {"last": "raw", "last_ema": "ema"}


class EvaluatedModel(NamedTuple):
    """An evaluated set of parameters."""

    step: int
    parameters: str  # "raw" or "ema"


def criterion(run: Run) -> str:
    """Describes the selection criterion: last step, metric, mean metric or mean rank."""
    if run.evaluation.selection in LAST:
        return "last step"
    if run.evaluation.selection == "per_task":
        return "metric of each task"
    tasks = selecting_tasks(run)
    if len(tasks) == 1:
        return "metric"
    same_metric = all(
        t.selection_metric == tasks[0].selection_metric and t.selection_metric.unit_free
        for t in tasks
    )
    return "mean metric" if same_metric else "mean rank"


def selecting_tasks(run: Run) -> list[Task]:
    """The tasks that take part in the selection."""
    return [task for task in run.tasks if task.selects]


def evaluations(record: Mapping[str, Any]) -> list[EvaluatedModel]:
    """Both evaluations of a record; the EMA parameters come first and so win ties."""
    return [EvaluatedModel(record["step"], parameters) for parameters in ("ema", "raw")]


def qualities(
    tasks: Iterable[Task],
    records: Mapping[int, Mapping[str, Any]],
    pool: Sequence[EvaluatedModel],
    seed: int,
) -> np.ndarray:
    """Validation metrics `[K, E]` of a seed, signed so that higher is better.

    Values that are not finite become minus infinity, the worst.
    """

    def signed_metric(task: Task, evaluation: EvaluatedModel) -> float:
        metrics = records[evaluation.step]["validation"][evaluation.parameters]
        value = metrics[task.name][task.selection_metric.name][seed]
        signed = value if task.selection_metric.higher_is_better else -value
        return signed if np.isfinite(signed) else -np.inf

    return np.array([[signed_metric(t, e) for e in pool] for t in tasks]).reshape(-1, len(pool))


def best(values: np.ndarray, by_rank: bool) -> int | None:
    """Index of the best of E evaluations by `ratings`, the first in a tie; None without a finite one.

    Args:
      values: `[K, E]`, higher is better; minus infinity is the worst.
      by_rank: whether ranks are averaged instead of values.
    """
    found = ratings(values, by_rank)
    return int(np.argmax(found)) if np.isfinite(found).any() else None


def ratings(values: np.ndarray, by_rank: bool) -> np.ndarray:
    """Ratings `[E]` of E evaluations, higher is better.

    The mean over tasks, or minus the mean rank among the E, which is invariant to increasing
    transformations of a metric. Tasks without any finite value are ignored; without any such task,
    all ratings are minus infinity.

    Args:
      values: `[K, E]`, higher is better; minus infinity is the worst.
      by_rank: whether ranks are averaged instead of values.
    """
    from scipy import stats  # Takes long to import.

    finite = values[np.isfinite(values).any(1)]
    if not len(finite):
        return np.full(values.shape[1], -np.inf)
    return -stats.rankdata(-finite, axis=1).mean(0) if by_rank else finite.mean(0)


def groups(run: Run) -> dict[str, list[Task]]:
    """For each task, the tasks whose validation metrics select its evaluation."""
    if run.evaluation.selection == "per_task":
        return {task.name: [task] for task in run.tasks}
    tasks = selecting_tasks(run)
    return {task.name: tasks for task in run.tasks}


def select(
    run: Run, records: Mapping[int, Mapping[str, Any]], seed: int
) -> dict[str, EvaluatedModel]:
    """Selected evaluation of a seed, by task.

    If no validation metric is finite, it is the last one, with the raw parameters.

    Args:
      run: the run.
      records: the evaluations, by step.
      seed: index of the seed.
    """
    last = EvaluatedModel(max(records), LAST.get(run.evaluation.selection, "raw"))
    if run.evaluation.selection in LAST:
        return {task.name: last for task in run.tasks}
    pool = [found for step in sorted(records) for found in evaluations(records[step])]
    by_rank = criterion(run) == "mean rank"
    selected = {}
    for name, tasks in groups(run).items():
        index = best(qualities(tasks, records, pool, seed), by_rank)
        selected[name] = last if index is None else pool[index]
    return selected


def is_stopped(run: Run, records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a run stops early: no seed selects one of its last `patience` evaluations.

    Args:
      run: the run.
      records: the evaluations so far, in order of steps.
    """
    patience = run.evaluation.patience
    if patience is None or len(records) <= patience:
        return False
    by_step = {record["step"]: record for record in records}
    recent = {record["step"] for record in records[-patience:]}
    return not any(
        found.step in recent
        for seed in range(run.num_seeds)
        for found in select(run, by_step, seed).values()
    )


def improved_seeds(run: Run, records: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Whether each seed `[S]` selects the last evaluation so far, for any task.

    Args:
      run: the run.
      records: the evaluations so far, in order of steps.
    """
    by_step = {record["step"]: record for record in records}
    selected = [select(run, by_step, seed).values() for seed in range(run.num_seeds)]
    return np.array([any(found.step == max(by_step) for found in each) for each in selected])


def candidates(
    run: Run, records: Mapping[int, Mapping[str, Any]], pool: Sequence[EvaluatedModel], seed: int
) -> list[EvaluatedModel]:
    """Evaluations that may still be selected by `select`, whatever later evaluations are.

    For the mean, that is the best one so far; for the mean rank, the nondominated ones, and the
    first of equal ones: a later evaluation never reverses the order of a dominated pair.
    """
    if run.evaluation.selection in LAST:
        return []
    if criterion(run) == "mean rank":
        values = qualities(selecting_tasks(run), records, pool, seed)
        _, first = np.unique(values, axis=1, return_index=True)
        mask = np.isin(np.arange(len(pool)), first) & nondominated(values.T)
        return [pool[index] for index in np.flatnonzero(mask)]
    found = (best(qualities(tasks, records, pool, seed), False) for tasks in groups(run).values())
    return [pool[index] for index in sorted({index for index in found if index is not None})]


def tasks_without_metric(run: Run, records: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """Names of the selecting tasks whose validation metric is never finite."""
    pool = [found for record in records.values() for found in evaluations(record)]
    return [
        task.name
        for task in selecting_tasks(run)
        if run.evaluation.selection not in LAST
        and not any(
            np.isfinite(qualities([task], records, pool, seed)).any()
            for seed in range(run.num_seeds)
        )
    ]
