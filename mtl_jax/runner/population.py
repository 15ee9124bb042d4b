"""Populations: runs that differ in numbers only, compiled and trained as one program."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import NamedSharding
from jax.stages import Lowered, Traced, Wrapped

from mtl_jax import train
from mtl_jax.config.run import Initialization, Labels, Run
from mtl_jax.core.data_source import DataSource
from mtl_jax.core.numbers import Path, numbers_in
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.compiler_options import evaluation_options
from mtl_jax.runner.evaluated_models import by_split, distinct, models_of
from mtl_jax.runner.first_seeds import FirstSeeds
from mtl_jax.runner.loops import scan_steps
from mtl_jax.runner.run_axis import add_axis, map_runs, stack
from mtl_jax.runner.seed_functions import INIT_COMPILER_OPTIONS, Init, evaluate_seeds
from mtl_jax.storage.memory import bytes_of

# Numbers in these are not replaced: they change data, shapes or initial parameters.
OPAQUE = (nn.Module, DataSource, Initialization, Labels)
CACHE_BYTES = 2**23  # Of vmapped states on a CPU.


@dataclasses.dataclass(frozen=True, eq=False)
class Population:
    """The compiled functions of P runs; every leaf of a state has leading axes P, S.

    A run's step is traced with tracers in the place of the numbers in which the runs differ, and
    mapped over them.

    Attributes:
      runs: the runs.
      template: the functions of the first run.
    """

    runs: tuple[Run, ...]
    template: CompiledRun

    @functools.cached_property
    def numbers(self) -> dict[Path, np.ndarray]:
        """The numbers `[P]` in which the runs differ, by path."""
        own = [numbers_in(run, OPAQUE) for run in self.runs]
        values = {path: [numbers[path] for numbers in own] for path in own[0]}
        return {
            path: np.asarray(column, np.float32)
            for path, column in values.items()
            if len(set(column)) > 1
        }

    @functools.cached_property
    def first_seeds(self) -> FirstSeeds:
        """The first seeds of the runs, of each of which there is data."""
        return FirstSeeds(self.runs)

    def init(self, source: Init | None) -> train.TrainState:
        """The initial states, as `CompiledRun.init`."""
        return self.init_states(self.numbers, self.new_models(), source)

    def abstract_init(self, source: Init | None) -> train.TrainState:
        """Shapes of the initial states, from the shapes of a source model."""
        return self.init_states.trace(self.numbers, self.new_models(abstract=True), source).out_info

    def new_models(self, abstract: bool = False) -> list[tuple[jax.Array, Any]]:
        """For each first seed, the seeds `[S]` and new models of them, or their shapes."""
        found = []
        for run in self.first_seeds.firsts:
            initial = dataclasses.replace(self.template.initial, run=run)
            found.append((initial.seeds, initial.new_models(abstract)))
        return found

    @functools.cached_property
    def init_states(self) -> Wrapped:
        """The jitted `(numbers, new models for each first seed, source) -> states`."""
        template, first_seeds = self.template, self.first_seeds

        def init_states(numbers: dict, new_models: list, source: Init | None):
            stacked = stack(new_models) if len(new_models) > 1 else new_models[0]

            def init_one(index: jax.Array, run: Run):
                seeds, (model, extra_models) = first_seeds.take(0, stacked, index)
                create = functools.partial(train.init_train_state, run, template.sizes)
                return jax.vmap(create)(seeds, model, source, extra_models)

            indices = first_seeds.indices
            return map_runs(template.run, init_one, numbers, indices, len(indices))

        return jax.jit(
            init_states,
            compiler_options=INIT_COMPILER_OPTIONS,
            out_shardings=self.state_sharding,
        )

    @functools.cached_property
    def jitted_steps(self) -> Wrapped:
        """The jitted `(numbers, states, data, steps) -> (states, {metric: [P, S]})`."""
        template, execution = self.template, self.template.execution

        def train_steps(numbers: dict, states: train.TrainState, data: train.TrainData, steps: int):
            def train_one(inputs: tuple[train.TrainState, jax.Array], run: Run):
                step = train.make_train_step(
                    run, template.step_model, execution, template.shard_batch
                )
                loop = functools.partial(scan_steps, step, execution.step_loop, steps)
                return self.over_seeds(loop, inputs, data)

            inputs = (states, self.first_seeds.indices)
            return map_runs(template.run, train_one, numbers, inputs, self.vmapped(states))

        return jax.jit(
            train_steps,
            compiler_options=template.compiler_options,
            static_argnums=3,
            donate_argnums=1,
            out_shardings=(self.state_sharding, self.sharding),
        )

    @functools.cached_property
    def jitted_affinity(self) -> Wrapped:
        """The jitted `(numbers, states, data) -> {"cosine", "lookahead": [P, S, K, K]}`."""
        template = self.template

        def affinity(numbers: dict, states: train.TrainState, data: train.TrainData):
            def measure_one(inputs: tuple[train.TrainState, jax.Array], run: Run):
                measure = train.measure_affinity(
                    run, template.step_model, template.execution, template.shard_batch
                )
                return self.over_seeds(measure, inputs, data)

            inputs = (states, self.first_seeds.indices)
            return map_runs(template.run, measure_one, numbers, inputs, self.vmapped(states))

        return jax.jit(
            affinity, compiler_options=template.compiler_options, out_shardings=self.sharding
        )

    @functools.cached_property
    def jitted_evaluation(self) -> Wrapped:
        """The jitted `(states, data) -> (Evaluation, counts)`, with leaves `[P, S, ...]`."""
        template, first_seeds = self.template, self.first_seeds

        def evaluate(states: train.TrainState, splits: Any, hidden_data: Any, hidden: Any):
            found, places = distinct(models_of(template.run, states))
            stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves, 1), *found)

            def evaluate_one(inputs: tuple[train.TrainState, Init, jax.Array]):
                state, models, index = inputs
                own_splits = first_seeds.take(first_seeds.split_axis, splits, index)
                axes = first_seeds.train_axes(hidden_data)
                own_data = first_seeds.take(axes, hidden_data, index)
                own_hidden = first_seeds.take(0, hidden, index)
                counts = template.evaluate_hidden(state, own_data, own_hidden)

                def evaluate_model(model: Init):
                    return evaluate_seeds(template.evaluation_config, *model, own_splits)

                return jax.lax.map(evaluate_model, models), counts

            # As much memory as one model takes.
            inputs = (states, stacked, first_seeds.indices)
            evaluated, counts = jax.lax.map(evaluate_one, inputs)
            own = {
                name: jax.tree.map(lambda x, i=i: x[:, i], evaluated) for name, i in places.items()
            }
            return by_split(own), counts

        options = evaluation_options(template.run, template.platform)
        return jax.jit(evaluate, compiler_options=options or None)

    def over_seeds(
        self,
        function: Callable[..., Any],
        inputs: tuple[train.TrainState, jax.Array],
        data: train.TrainData,
    ) -> Any:
        """Maps a function `(state, data)` of one seed over those of a run.

        Args:
          function: the function.
          inputs: the state `[S, ...]` of the run, and the index of its first seed.
          data: the data of all runs.
        """
        state, index = inputs
        seeds = self.first_seeds
        own = seeds.take(seeds.train_axes(data), data, index)
        return self.template.over_seeds(function, state, own)

    def affinity(self, states: train.TrainState, data: train.TrainData) -> dict[str, jax.Array]:
        """The affinity between tasks `[P, S, K, K]`, as `CompiledRun.affinity`."""
        return self.jitted_affinity(self.numbers, states, data)

    def train_steps(
        self, states: train.TrainState, data: train.TrainData, steps: int
    ) -> tuple[train.TrainState, dict[str, jax.Array]]:
        """Trains all runs for some steps; the states are donated."""
        return self.jitted_steps(self.numbers, states, data, steps)

    def trace(self, states: train.TrainState, data: train.TrainData, steps: int) -> Traced:
        """Traces a block of steps on shapes."""
        return self.jitted_steps.trace(self.numbers, states, data, steps)

    def trace_affinity(self, states: train.TrainState, data: train.TrainData) -> Traced:
        """Traces the affinity between tasks on shapes."""
        return self.jitted_affinity.trace(self.numbers, states, data)

    def lower(self, states: train.TrainState, data: train.TrainData, steps: int) -> Lowered:
        """Lowers a block of steps for shapes."""
        return self.trace(states, data, steps).lower()

    def vmapped(self, states: train.TrainState) -> int:
        """Number of runs that are vmapped, one such group after the other; a divisor of P.

        On a CPU, a step of runs that do not fit into its cache together takes longer than their
        steps one by one; elsewhere all runs are vmapped.
        """
        count = len(self.runs)
        if self.template.platform != "cpu":
            return count
        size = bytes_of((states.params, states.ema, states.opt_state))
        most = max(1, CACHE_BYTES * count // size)
        return max(each for each in range(1, count + 1) if count % each == 0 and each <= most)

    @property
    def sharding(self) -> NamedSharding:
        """The sharding of arrays `[P, S, ...]`."""
        return add_axis(self.template.seed_sharding)

    @functools.cached_property
    def state_sharding(self) -> Any:
        """The shardings of states `[P, S, ...]`, a run's with a leading axis."""
        return jax.tree.map(add_axis, self.template.state_sharding)
