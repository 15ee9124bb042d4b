"""Test metrics of a finished run: of its selected parameters, and of its last step."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mtl_jax.config.run import Run
from mtl_jax.report.selection import select

Metrics = dict[str, dict[str, Any]]  # `{task: {metric: [S]}}`


class FinalMetrics(NamedTuple):
    """Test metrics of a finished run."""

    selected: Metrics
    last: dict[str, Metrics]  # Of the last step, "raw" and "ema".
    not_finite: dict[str, Any]  # As in a record, of the test part; {} if it is in the records.


def metrics_of_records(run: Run, records: Mapping[int, Mapping[str, Any]]) -> FinalMetrics:
    """The final metrics of a run whose records have test metrics.

    Args:
      run: the run.
      records: the evaluations, by step.
    """
    seeds = [select(run, records, seed) for seed in range(run.num_seeds)]

    def value(task: str, metric: str, seed: int) -> float:
        step, parameters = seeds[seed][task]
        return records[step]["test"][parameters][task][metric][seed]

    selected = {
        task.name: {
            metric.name: [value(task.name, metric.name, seed) for seed in range(run.num_seeds)]
            for metric in task.metrics
        }
        for task in run.tasks
    }
    return FinalMetrics(selected, records[max(records)]["test"], {})
