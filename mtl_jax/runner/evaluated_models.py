"""What an evaluation is of: models by name, and splits."""

from collections.abc import Mapping
from typing import Any

import jax

from mtl_jax.config.run import Run
from mtl_jax.core.schema import BATCH_STATS, PARAMS
from mtl_jax.report.selection import LAST
from mtl_jax.runner.loops import device_put
from mtl_jax.train import Evaluation, TrainState
from mtl_jax.train.state import Init

Models = Mapping[str, Init]  # Parameters and statistics, with leaves `[S, ...]`.


def models_of(run: Run, state: TrainState) -> Models:
    """The raw and averaged models of a state, the same one if the run does not average."""
    raw = (state.params, state.batch_stats)
    return {"raw": raw, "ema": (state.ema, state.batch_stats) if run.evaluation.ema_decay else raw}


def with_selected(
    run: Run, models: Models, selected: Mapping[str, Any]
) -> tuple[Models, dict[str, str]]:
    """Adds the selected models to those of the last step; also returns their names by task.

    Args:
      run: the run.
      models: the models of the last step.
      selected: parameters and statistics on the host, by task if the run selects per task.
    """
    tasks = [task.name for task in run.tasks]
    if run.evaluation.selection in LAST:
        return models, dict.fromkeys(tasks, LAST[run.evaluation.selection])
    per_task = run.evaluation.selection == "per_task"
    names = {task: f"selected/{task}" if per_task else "selected" for task in tasks}
    own = {names[task]: selected[task] for task in tasks} if per_task else {"selected": selected}
    placed = {name: put_like(model, models["raw"]) for name, model in own.items()}
    return {**models, **placed}, names


def put_like(model: Mapping[str, Any], other: Init) -> Init:
    """Places a model on the devices, with the shardings of another one."""
    own = (model[PARAMS], model[BATCH_STATS])
    return jax.tree.map(lambda leaf, like: device_put(leaf, like.sharding), own, other)


def splits_during(run: Run, splits: Mapping[str, Any]) -> dict[str, Any]:
    """The splits that each evaluation of a run is of."""
    at_end = splits_at_end(run, splits)
    return {name: streams for name, streams in splits.items() if name not in at_end}


def splits_at_end(run: Run, splits: Mapping[str, Any]) -> dict[str, Any]:
    """The splits that are evaluated at the end of a run only."""
    is_late = run.evaluation.test != "every"
    return {name: streams for name, streams in splits.items() if name == "test" and is_late}


def distinct(models: Models) -> tuple[list[Init], dict[str, int]]:
    """The models without repetitions, and the index of each name."""
    by_id = {id(model): model for model in models.values()}
    places = {key: place for place, key in enumerate(by_id)}
    return list(by_id.values()), {name: places[id(model)] for name, model in models.items()}


def by_split(evaluations: Mapping[str, Evaluation]) -> Evaluation:
    """The evaluation by split and model, of the evaluations of models by split."""

    def part(i: int) -> dict[str, dict[str, Any]]:
        splits = next(iter(evaluations.values()))[i]
        return {
            split: {name: found[i][split] for name, found in evaluations.items()}
            for split in splits
        }

    return Evaluation(*map(part, range(len(Evaluation._fields))))
