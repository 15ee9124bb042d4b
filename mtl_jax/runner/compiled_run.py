"""Compiled functions of a run: vectorized seeds, blocks of steps, a device mesh."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.stages import Wrapped

from mtl_jax import train
from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.config.execution import Execution
from mtl_jax.config.run import Run
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.model import Model
from mtl_jax.runner.compiler_options import evaluation_options, step_options
from mtl_jax.runner.dataset_sizes import sizes_of
from mtl_jax.runner.evaluated_models import Models, by_split, distinct
from mtl_jax.runner.execution import default_execution
from mtl_jax.runner.initial_state import InitialState
from mtl_jax.runner.loops import device_put, map_train_data, scan_steps, shard_batch
from mtl_jax.runner.mesh import mesh_of
from mtl_jax.runner.seed_functions import (
    EvaluationConfig,
    ExampleSpec,
    Init,
    evaluate_hidden_seeds,
    jit_evaluation,
)
from mtl_jax.runner.streamed_shapes import limit_block
from mtl_jax.storage.abstract_data import single_seed
from mtl_jax.storage.data_location import data_location
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.train.frozen_encoder import with_features


@dataclasses.dataclass(frozen=True, eq=False)
class CompiledRun:
    """The compiled functions of a run; every leaf of a state has a leading axis S.

    Attributes:
      run: the run configuration.
      execution: how steps and seeds are looped.
      mesh: the devices, with the axes "seed", "batch" and "model".
      requested: which parameters are sharded over the axis "model".
      example: shapes and dtypes of an example.
      sizes: numbers of outputs and examples, by task.
      encodes_once: whether inputs are features of the encoder, which is frozen.
    """

    run: Run
    execution: Execution
    mesh: Mesh
    requested: DeviceMesh
    example: ExampleSpec
    sizes: dict[str, DatasetSizes]
    encodes_once: bool = False

    @functools.cached_property
    def model(self) -> Model:
        """The model that the run trains."""
        return train.build_model(self.run)

    @functools.cached_property
    def train_model(self) -> Model:
        """The model as a training step computes it."""
        return train.training_model(self.model, self.execution)

    @property
    def step_model(self) -> Model:
        """The training model for inputs that may be features."""
        return with_features(self.train_model) if self.encodes_once else self.train_model

    @property
    def seed_sharding(self) -> NamedSharding:
        """The sharding of arrays `[S, ...]`."""
        return NamedSharding(self.mesh, PartitionSpec("seed"))

    def init(self, source: Init | None) -> train.TrainState:
        """The initial state.

        Args:
          source: parameters and statistics `[S, ...]` of the source model, if the run has one.
        """
        return self.initial.make(source)

    def abstract_init(self, source: Init | None) -> train.TrainState:
        """Shapes of the initial state, from the shapes of a source model."""
        return self.initial.abstract(source)

    @functools.cached_property
    def initial(self) -> InitialState:
        """The functions that make the initial state."""
        return InitialState(self.run, self.mesh, self.requested, self.example, self.sizes)

    @property
    def state_sharding(self) -> Any:
        """The shardings of a state, one for all leaves if no parameter is sharded."""
        return self.initial.sharding

    @functools.cached_property
    def train_steps(self) -> Wrapped:
        """The jitted `(state, data, steps) -> (state, {metric: [S]})`, which donates the state."""
        step = train.make_train_step(self.run, self.step_model, self.execution, self.shard_batch)
        loop, over_seeds = self.execution.step_loop, self.over_seeds

        def train_steps(state: train.TrainState, data: train.TrainData, steps: int):
            return over_seeds(functools.partial(scan_steps, step, loop, steps), state, data)

        return jax.jit(
            train_steps,
            compiler_options=self.compiler_options,
            static_argnums=2,
            donate_argnums=0,
            out_shardings=(self.state_sharding, self.seed_sharding),
        )

    @property
    def compiler_options(self) -> dict[str, Any] | None:
        """Options of XLA for a block of steps."""
        return step_options(self.run, self.platform) or None

    @property
    def platform(self) -> str:
        """The platform of the devices."""
        return self.mesh.devices.flat[0].platform

    @functools.cached_property
    def observe(self) -> Wrapped:
        """The jitted `(opt_state, improved) -> opt_state` of all seeds, after an evaluation."""
        sharding = self.state_sharding
        sharding = sharding if isinstance(sharding, NamedSharding) else sharding.opt_state
        return jax.jit(jax.vmap(self.run.optimizer.observe), out_shardings=sharding)

    @functools.cached_property
    def affinity(self) -> Wrapped:
        """The jitted `(state, data) -> {"cosine", "lookahead": [S, K, K]}`."""
        args = (self.run, self.step_model, self.execution, self.shard_batch)
        measure, over_seeds = train.measure_affinity(*args), self.over_seeds

        def affinity(state: train.TrainState, data: train.TrainData):
            return over_seeds(measure, state, data)

        return jax.jit(
            affinity, compiler_options=self.compiler_options, out_shardings=self.seed_sharding
        )

    @functools.cached_property
    def inspect(self) -> Wrapped:
        """The jitted `(state, data) -> StepQuantities`, `[S, ...]`, of the step of a state."""
        one = train.make_inspection(self.run, self.step_model, self.execution, self.shard_batch)
        return jax.jit(functools.partial(self.over_seeds, one))

    def evaluate(self, models: Models, splits: Any) -> train.Evaluation:
        """Metrics and counts `[S]` by split and model, as in `train.evaluate`."""
        found, index = distinct(models)
        evaluate = functools.partial(self.jitted_evaluation, self.evaluation_config)
        evaluated = [evaluate(*model, splits) for model in found]
        return by_split({name: evaluated[i] for name, i in index.items()})

    @property
    def jitted_evaluation(self) -> Wrapped:
        """The jitted `evaluate_seeds`, which runs share."""
        return jit_evaluation(tuple(evaluation_options(self.run, self.platform).items()))

    def evaluate_hidden(
        self, state: train.TrainState, data: train.TrainData, hidden: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Counts by class of predictions for examples with hidden labels.

        Args:
          state: the state.
          data: the training data.
          hidden: by model and stream, the examples, as `sample_hidden_labels` gives them.

        Returns:
          By model, task and name of the count, `[S, C]`.
        """
        models = {"raw": state.params, "ema": state.ema}
        streams = {name: {**s.labels, "inputs": s.inputs} for name, s in data.streams.items()}
        return {
            kind: evaluate_hidden_seeds(
                self.evaluation_config, models[kind], state.batch_stats, streams, own
            )
            for kind, own in hidden.items()
        }

    @property
    def evaluation_config(self) -> EvaluationConfig:
        """The static argument of evaluations, which do not depend on the auxiliary losses."""
        tasks = tuple(task.replace(auxiliary=None) for task in self.run.tasks)
        return EvaluationConfig(
            self.execution.seed_loop, seed_axis(self.run), self.run.trunk, tasks, self.encodes_once
        )

    def put_data(self, data: train.TrainData) -> train.TrainData:
        """Places training data, as host arrays or shapes, on the devices."""
        replicated = NamedSharding(self.mesh, PartitionSpec())
        shared = replicated if seed_axis(self.run) is None else self.seed_sharding
        shardings = data.in_axes(shared, self.seed_sharding)
        source = data.source_model
        if source is not None:
            own = self.initial.shard(source, source.params)
            shardings = shardings._replace(source_model=own)
        return jax.tree.map(lambda sharding, part: device_put(part, sharding), shardings, data)

    @property
    def over_seeds(self) -> Callable[..., Any]:
        """Maps a function `(state, data)` of one seed over the seeds: `(function, state, data)`."""
        return functools.partial(map_train_data, self.execution.seed_loop, seed_axis(self.run))

    @property
    def shard_batch(self) -> Callable[[Any], Any]:
        """Shards the examples of a batch over the devices, inside a step."""
        return functools.partial(shard_batch, self.mesh, self.execution.augment_loop == "map")


def compile_run(
    run: Run,
    shapes: train.TrainData,
    devices: list | None = None,
    requested: DeviceMesh | None = None,
    num_seeds: int | None = None,
) -> CompiledRun:
    """Makes the compiled functions of a run.

    Args:
      run: the run configuration.
      shapes: the training data, of which only the shapes are used.
      devices: the devices to run on; all of all processes if None.
      requested: the mesh of the devices; None chooses it.
      num_seeds: number of seeds of its program, if it is of a population.

    Returns:
      The functions, which are compiled at their first call.

    Raises:
      BadInput: if the mesh does not suit the run or the devices.
    """
    devices = devices or jax.devices()
    execution = default_execution(run, devices[0].platform)
    mesh = mesh_of(run, execution, devices, requested)
    execution = dataclasses.replace(execution, data_location=data_location(run, shapes))
    execution = limit_block(run, execution, shapes, num_seeds or run.num_seeds)
    streams = tuple(single_seed(run, shapes).streams.values())
    example = ExampleSpec.of(streams[0].inputs)
    requested = requested or DeviceMesh()
    return CompiledRun(run, execution, mesh, requested, example, sizes_of(run, streams))
