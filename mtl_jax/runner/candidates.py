"""Parameters of the evaluations that validation may still select, stored on the host."""

from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.schema import BATCH_STATS, PARAMS
from mtl_jax.report.selection import EvaluatedModel, candidates, evaluations, select
from mtl_jax.storage.processes import fetch
from mtl_jax.train import TrainState


class Candidates:
    """Parameters and statistics by seed and evaluation; also stored in checkpoints."""

    def __init__(self, run: Run, records: list[dict[str, Any]], tree: dict[str, Any]):
        """Restores the candidates of a checkpoint.

        Args:
          run: the run configuration.
          records: the evaluations so far.
          tree: the result of `tree` when the checkpoint was written, or {}.
        """
        self.run = run
        self.records = {record["step"]: record for record in records}
        self.models = [
            {parse_name(name): model for name, model in tree.get(str(seed), {}).items()}
            for seed in range(run.num_seeds)
        ]

    def add(self, record: dict[str, Any], state: TrainState) -> None:
        """Adds an evaluation, and drops candidates that can no longer be selected."""
        self.records[record["step"]] = record
        new = evaluations(record)
        new_models = {}
        for seed, models in enumerate(self.models):
            selectable = candidates(self.run, self.records, [*sorted(models), *new], seed)
            for _, kind in set(selectable) & set(new):
                if kind not in new_models:
                    new_models[kind] = fetch(model_of(state, kind))
            self.models[seed] = {
                key: models[key] if key in models else of_seed(new_models[key.parameters], seed)
                for key in selectable
            }

    def tree(self) -> dict[str, Any]:
        """All candidates as nested dicts of arrays."""
        return {
            str(seed): {f"{step}-{kind}": model for (step, kind), model in models.items()}
            for seed, models in enumerate(self.models)
            if models
        }

    def selected_models(self, state: TrainState) -> dict[str, Any]:
        """Parameters and statistics selected by validation, `[S, ...]`.

        With `selection="per_task"`, a dict of such trees by task name.

        Args:
          state: the state after the last step.
        """
        selections = [select(self.run, self.records, seed) for seed in range(self.run.num_seeds)]

        def selected_by(task: str) -> dict[str, Any]:
            models = [self.model(s[task], state, seed) for seed, s in enumerate(selections)]
            return jax.tree.map(lambda *leaves: np.stack(leaves), *models)

        if self.run.evaluation.selection == "per_task":
            return {task.name: selected_by(task.name) for task in self.run.tasks}
        return selected_by(self.run.tasks[0].name)

    def model(self, evaluation: EvaluatedModel, state: TrainState, seed: int) -> dict[str, Any]:
        """One seed's parameters and statistics of a stored evaluation, or of the last one."""
        if evaluation in self.models[seed]:
            return self.models[seed][evaluation]
        return of_seed(fetch(model_of(state, evaluation.parameters)), seed)


def model_of(state: TrainState, parameters: str) -> dict[str, Any]:
    """Raw or averaged parameters of all seeds, with the running statistics."""
    params = state.ema if parameters == "ema" else state.params
    return {PARAMS: params, BATCH_STATS: state.batch_stats}


def of_seed(model: dict[str, Any], seed: int) -> dict[str, Any]:
    """A copy of one seed's model, since the next step reuses the memory of all seeds."""
    return jax.tree.map(lambda leaf: np.array(leaf[seed], copy=True), model)


def parse_name(name: str) -> EvaluatedModel:
    """Parses the name of an evaluation in a checkpoint."""
    step, parameters = name.split("-")
    return EvaluatedModel(int(step), parameters)
