"""Evaluation of a run during training, and its final result."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from mtl_jax.config.param_rules import partition_params
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.metric import HostMetric
from mtl_jax.core.tree import num_params
from mtl_jax.data import has_label
from mtl_jax.report.final_metrics import FinalMetrics
from mtl_jax.report.summary import not_finite, summary, to_json
from mtl_jax.runner.candidates import Candidates
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.device_data import DeviceData
from mtl_jax.runner.evaluated_models import (
    Models,
    models_of,
    splits_at_end,
    splits_during,
    with_selected,
)
from mtl_jax.runner.streamed_evaluation import evaluate_streamed
from mtl_jax.storage.checkpoint import digest, to_host
from mtl_jax.storage.processes import fetch
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.storage.trained_params import write_selected
from mtl_jax.train import Evaluation, TrainState

BlockMetrics = tuple[int, dict[str, Any]]  # Number of steps, and mean metrics `[S]` by name.


class Measured(NamedTuple):
    """What is computed of a state, with leaves `[S, ...]` on the host."""

    evaluation: Evaluation
    hidden: dict[str, Any]  # As `CompiledRun.evaluate_hidden` returns it.
    affinity: dict[str, Any]  # Between tasks; {} if it is not measured.


def measure(compiled: CompiledRun, state: TrainState, data: DeviceData) -> Measured:
    """The evaluation of a state, without the affinity between tasks."""
    splits = splits_during(compiled.run, data.splits)
    found = evaluate(compiled, models_of(compiled.run, state), data, splits)
    hidden = compiled.evaluate_hidden(state, data.hidden_data, data.hidden)
    return Measured(*fetch((found, hidden)), {})


def evaluate(compiled: CompiledRun, models: Models, data: DeviceData, splits: Any) -> Evaluation:
    """Metrics and counts `[S]` by split and model."""
    if data.streamed is None:
        return compiled.evaluate(models, splits)
    return evaluate_streamed(compiled, data.streamed.reader, models, splits)


def record_of(
    run: Run, measured: Measured, splits: Any, blocks: Sequence[BlockMetrics], step: int
) -> dict[str, Any]:
    """The record of a step: its evaluation, and mean training metrics since the last record.

    Args:
      run: the run.
      measured: what is computed of the state after the step.
      splits: the evaluation data.
      blocks: training metrics since the last record.
      step: the step.
    """
    metrics = to_json(with_host_metrics(run, measured.evaluation, splits))
    hidden, affinity = to_json(measured.hidden), to_json(measured.affinity)
    return {
        "step": step,
        "train": mean_metrics(blocks),
        **metrics,
        **not_finite(to_json(measured.evaluation.nonfinite)),
        **({"unlabelled": hidden} if hidden else {}),
        **({"affinity": affinity} if affinity else {}),
    }


def with_host_metrics(run: Run, found: Evaluation, splits: Any) -> dict[str, Any]:
    """Metrics `{split: {model: {task: {metric: [S]}}}}`, with those computed on the host."""
    outputs = found.outputs
    return {
        split: {
            kind: {
                task.name: {
                    metric.name: host_values(
                        run, task, metric, splits[split], outputs[split][kind][task.name]
                    )
                    if isinstance(metric, HostMetric)
                    else by_task[task.name][metric.name]
                    for metric in task.metrics
                }
                for task in run.tasks
            }
            for kind, by_task in by_model.items()
        }
        for split, by_model in found.metrics.items()
    }


def host_values(run: Run, task: Task, metric: HostMetric, streams: Any, outputs: Any) -> np.ndarray:
    """A metric of every seed `[S]`, from outputs `[S, N, ...]`; NaN if one is not finite."""
    labels = next(
        np.asarray(arrays[task.name]) for arrays in streams.values() if task.name in arrays
    )
    by_seed = labels if seed_axis(run) == 0 else [labels] * run.num_seeds
    values = []
    for seed, own in enumerate(by_seed):
        mask = has_label(own)
        labelled = jax.tree.map(lambda leaf, s=seed, m=mask: leaf[s][m], outputs)
        finite = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(labelled))
        values.append(metric.compute(labelled, own[mask]) if finite and mask.any() else np.nan)
    return np.array(values)


def write_final(
    compiled: CompiledRun,
    folder: RunDirectory,
    state: TrainState,
    data: DeviceData,
    candidates: Candidates,
) -> dict[str, Any]:
    """Writes the selected parameters of a run and returns its result."""
    run, last = compiled.run, to_host(state)
    selected = candidates.selected_models(state)
    write_selected(folder, selected)
    digests = {"state_sha256": digest(last), "selected_sha256": digest(selected)}
    final = final_metrics(compiled, state, data, selected)
    records = list(candidates.records.values())
    return {**summary(run, records, *parameters(run, state), final), **digests}


def final_metrics(
    compiled: CompiledRun, state: TrainState, data: DeviceData, selected: dict[str, Any]
) -> FinalMetrics | None:
    """Evaluates the test part at the end of a run; None if each evaluation has done so.

    Args:
      compiled: the compiled run.
      state: the state after the last step.
      data: the data.
      selected: the selected models, as `Candidates.selected_models` returns them.
    """
    run = compiled.run
    splits = splits_at_end(run, data.splits)
    if not splits:
        return None
    models, names = with_selected(run, models_of(run, state), selected)
    found = fetch(evaluate(compiled, models, data, splits))
    metrics = to_json(with_host_metrics(run, found, splits))["test"]
    own = {task: metrics[name][task] for task, name in names.items()}
    return FinalMetrics(own, metrics, not_finite(to_json(found.nonfinite)))


def mean_metrics(blocks: Sequence[BlockMetrics]) -> dict[str, list[float]]:
    """Means of the metrics `[S]` over the steps of all blocks."""
    total = sum(steps for steps, _ in blocks)
    _, names = blocks[0]
    return {
        name: to_json(
            sum(steps * np.asarray(metrics[name], np.float64) for steps, metrics in blocks) / total
        )
        for name in names
    }


def parameters(run: Run, state: TrainState) -> tuple[int, int]:
    """Number of parameters of one seed's model, and of those that are trained."""
    trained, _ = partition_params(state.params, run.param_rules)
    return num_params(state.params) // run.num_seeds, num_params(trained) // run.num_seeds
