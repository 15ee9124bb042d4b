"""Compiled functions of a run: vectorized seeds, blocks of steps, a device mesh."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mtl_jax import train
from mtl_jax.config.execution import Execution
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.trunk import traits
from mtl_jax.nets import make_model
from mtl_jax.runner.loops import device_put, map_seeds, scan_steps, shard_batch
from mtl_jax.storage.abstract_data import single_seed
from mtl_jax.storage.loading import seed_axis

# XLA's default level takes up to 2 s to compile each random op of a new shape on a CPU; level 2
# gives the same bits in a tenth of the time. It is used for the initialisation only: a training
# step would be 7 % slower.
INIT_COMPILER_OPTIONS = {"xla_backend_optimization_level": 2}
# A run of a few steps takes less time than compiling a well optimised step.
SMOKE_COMPILER_OPTIONS = {"xla_backend_optimization_level": 0}
SMOKE_STEPS_LIMIT = 20


class CompiledRun(NamedTuple):
    """The compiled functions of a run; every leaf of a state has a leading axis S."""

    init: Callable[..., Any]  # (source | None) -> state
    abstract_init: Callable[..., Any]  # the same for shapes
    train_steps: Callable[..., Any]  # (state, given, steps) -> (state, {metric: [S]})
    evaluate: Callable[..., Any]  # (state, splits) -> {...: [S]}
    affinity: Callable[..., Any]  # (state, given) -> {"cosine", "lookahead": [S, K, K]}
    put_data: Callable[..., Any]  # places a `TrainData` of host arrays or shapes on the devices


def default_execution(run: Run, backend: str) -> Execution:
    """The execution of a run, or by default the fastest measured for its trunk and backend."""
    if run.execution is not None:
        return run.execution
    branches = any(policy.has_branches for policy in run.augmentation.policies.values())
    if backend == "cpu" and traits(run.trunk).convolutional:
        unrolled = Execution(
            steps_per_call=1, step_loop="unroll", seed_loop="unroll", jacobian_loop="unroll"
        )
        return dataclasses.replace(unrolled, augment_loop="map" if branches else "vmap")
    if backend == "cpu" and branches:
        # Under vmap over seeds, all branches would be computed.
        return Execution(seed_loop="unroll", jacobian_loop="unroll", augment_loop="map")
    return Execution(jacobian_loop="unroll" if backend == "cpu" else "vmap")


def mesh_of(run: Run, execution: Execution, devices: list) -> Mesh:
    """A mesh ("seed", "batch") over as many devices as divide the seeds and the batch evenly.

    Axes are Auto: JAX's default, Explicit, rejects ordinary losses.
    """
    seeds = math.gcd(run.num_seeds, len(devices)) if execution.seed_loop == "vmap" else 1
    batch = math.gcd(run.batch_size, len(devices) // seeds)
    auto = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh(
        (seeds, batch), ("seed", "batch"), axis_types=auto, devices=devices[: seeds * batch]
    )


def compile_run(run: Run, shapes: train.TrainData, devices: list | None = None) -> CompiledRun:
    """Makes the compiled functions of a run.

    Args:
      run: the run configuration.
      shapes: the training data, of which only the shapes are used.
      devices: the devices to run on; all local devices if None.

    Returns:
      The functions, which are compiled at their first call.
    """
    devices = devices or jax.local_devices()
    execution = default_execution(run, devices[0].platform)
    mesh = mesh_of(run, execution, devices)
    by_seed = NamedSharding(mesh, PartitionSpec("seed"))
    everywhere = NamedSharding(mesh, PartitionSpec())
    shard = functools.partial(shard_batch, mesh, execution.augment_loop == "map")
    model = train.build_model(run)
    step = train.make_train_step(run, model, execution, shard)
    seeds = jnp.arange(run.first_seed, run.first_seed + run.num_seeds, dtype=jnp.uint32)
    outputs = tuple(train.head_specs(run).items())
    streams, axis = tuple(single_seed(run, shapes).streams.values()), seed_axis(run)
    sizes = sizes_of(run, streams)
    fresh = (run.trunk, outputs, train.example_spec(streams[0].image), seeds)
    # Evaluation does not depend on the auxiliary losses.
    judged = tuple(task.replace(auxiliary=None) for task in run.tasks)
    extra = [name for extension in run.extensions for name in extension.extra_models]

    @functools.partial(jax.jit, compiler_options=INIT_COMPILER_OPTIONS, out_shardings=by_seed)
    def begin(drawn, source, models):
        create = functools.partial(train.init_train_state, run, sizes)
        return jax.vmap(create)(seeds, drawn=drawn, source=source, models=models)

    def init(source):
        models = {name: init_models(*fresh, name) for name in extra}
        return begin(init_models(*fresh), source, models)

    def begun(source):
        models = {name: init_models.eval_shape(*fresh, name) for name in extra}
        return begin.eval_shape(init_models.eval_shape(*fresh), source, models)

    @functools.partial(
        jax.jit,
        compiler_options=SMOKE_COMPILER_OPTIONS if run.steps <= SMOKE_STEPS_LIMIT else None,
        static_argnums=2,
        donate_argnums=0,
        out_shardings=by_seed,
    )
    def advance(state, given, steps):
        block = functools.partial(scan_steps, step, execution.step_loop, steps)
        return map_seeds(execution.seed_loop, block, (0, given.in_axes(axis, 0)))(state, given)

    def judge(state, splits):
        models = {"raw": state.params, "ema": state.ema}
        return evaluate_seeds(
            execution.seed_loop, axis, run.trunk, judged, models, state.batch_stats, splits
        )

    @functools.partial(jax.jit, out_shardings=by_seed)
    def affinity(state, given):
        measure = train.measure_affinity(run, model, execution, shard)
        return map_seeds(execution.seed_loop, measure, (0, given.in_axes(axis, 0)))(state, given)

    def given(parts):
        here = parts.in_axes(everywhere if axis is None else by_seed, by_seed)
        return jax.tree.map(lambda where, part: device_put(part, where), here, parts)

    return CompiledRun(init, begun, advance, judge, affinity, given)


def sizes_of(run: Run, streams: tuple[train.Stream, ...]) -> dict[str, DatasetSizes]:
    """Numbers of outputs, unlabelled and labelled examples, by task."""
    return {
        task.name: DatasetSizes(
            task.num_outputs, train.num_unlabelled(stream), stream.labelled.index.shape[-1]
        )
        for task in run.tasks
        for stream in streams
        if task.name in stream.labels
    }


# These are module-level functions, so that runs with the same model share traces and compilations.
@functools.partial(jax.jit, static_argnums=(0, 1, 2, 4), compiler_options=INIT_COMPILER_OPTIONS)
def init_models(
    trunk: Any, outputs: tuple, image: jax.ShapeDtypeStruct, seeds: jax.Array, name: str = "init"
) -> Any:
    """Initial parameters and statistics `[S, ...]` of a model for images of a shape and dtype."""
    model = make_model(trunk, dict(outputs))
    return jax.vmap(lambda seed: train.init_model(model, seed, image, name))(seeds)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def evaluate_seeds(
    how: str,
    axis: int | None,
    trunk: Any,
    tasks: tuple[Task, ...],
    models: dict,
    stats: Any,
    splits: Any,
):
    """Evaluates models `[S, ...]` on every split, with or without a seed axis in the data."""
    model = make_model(trunk, {task.name: task.num_outputs for task in tasks})
    alone = functools.partial(train.evaluate, model, tasks)
    return map_seeds(how, alone, (0, 0, axis))(models, stats, splits)


@functools.partial(jax.jit, static_argnums=(0, 1))
def precompute_seeds(
    how: str, run: Run, anchor: train.SourceModel, given: train.TrainData
) -> dict[str, Any]:
    """Precomputed values of the methods, `{task: [S, ...]}`, mapped over the seeds."""
    alone = functools.partial(train.precompute, run, train.build_model(run))
    return map_seeds(how, alone, (0, given.in_axes(seed_axis(run), 0)))(anchor, given)
