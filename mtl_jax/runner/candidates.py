"""Parameters of the evaluations that validation may still select, stored on the host."""

from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.schema import BATCH_STATS, PARAMS
from mtl_jax.report.selection import Evaluation, candidates, evaluations, select
from mtl_jax.train import TrainState


class Candidates:
    """Parameters and statistics by seed and evaluation; also stored in checkpoints."""

    def __init__(self, run: Run, records: list[dict[str, Any]], kept: dict[str, Any]):
        """Restores the candidates of a checkpoint.

        Args:
          run: the run configuration.
          records: the evaluations so far.
          kept: the result of `tree` when the checkpoint was written, or {}.
        """
        self.run = run
        self.records = {record["step"]: record for record in records}
        self.kept = [
            {parsed(name): model for name, model in kept.get(str(seed), {}).items()}
            for seed in range(run.num_seeds)
        ]

    def add(self, record: dict[str, Any], state: TrainState) -> None:
        """Adds an evaluation, and drops candidates that can no longer be selected."""
        self.records[record["step"]] = record
        new = evaluations(record)
        models = {}
        for seed, own in enumerate(self.kept):
            wanted = candidates(self.run, self.records, [*sorted(own), *new], seed)
            for each in set(wanted) & set(new):
                if each.parameters not in models:
                    models[each.parameters] = jax.device_get(model_of(state, each.parameters))
            self.kept[seed] = {
                each: own[each] if each in own else of_seed(models[each.parameters], seed)
                for each in wanted
            }

    def tree(self) -> dict[str, Any]:
        """All candidates as nested dicts of arrays."""
        return {
            str(seed): {f"{step}-{parameters}": model for (step, parameters), model in own.items()}
            for seed, own in enumerate(self.kept)
            if own
        }

    def selected(self, state: TrainState) -> dict[str, Any]:
        """Parameters and statistics selected by validation, `[S, ...]`.

        With `selection="per_task"`, a dict of such trees by task name.

        Args:
          state: the state after the last step.
        """
        chosen = [select(self.run, self.records, seed) for seed in range(self.run.num_seeds)]

        def of(task: str) -> dict[str, Any]:
            models = [self.model(own[task], state, seed) for seed, own in enumerate(chosen)]
            return jax.tree.map(lambda *leaves: np.stack(leaves), *models)

        if self.run.evaluation.selection == "per_task":
            return {task.name: of(task.name) for task in self.run.tasks}
        return of(self.run.tasks[0].name)

    def model(self, evaluation: Evaluation, state: TrainState, seed: int) -> dict[str, Any]:
        """One seed's parameters and statistics of a stored evaluation, or of the last one."""
        if evaluation in self.kept[seed]:
            return self.kept[seed][evaluation]
        return of_seed(jax.device_get(model_of(state, evaluation.parameters)), seed)


def model_of(state: TrainState, parameters: str) -> dict[str, Any]:
    """Raw or averaged parameters of all seeds, with the running statistics."""
    params = state.ema if parameters == "ema" else state.params
    return {PARAMS: params, BATCH_STATS: state.batch_stats}


def of_seed(model: dict[str, Any], seed: int) -> dict[str, Any]:
    """A copy of one seed's model, since the next step reuses the memory of all seeds."""
    return jax.tree.map(lambda leaf: np.array(leaf[seed], copy=True), model)


def parsed(name: str) -> Evaluation:
    """Parses the name of an evaluation in a checkpoint."""
    step, parameters = name.split("-")
    return Evaluation(int(step), parameters)
