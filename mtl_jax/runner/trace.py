"""Traces runs on shapes, so that all runs are checked before any is trained."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.config.run import Run
from mtl_jax.runner.compiled_run import CompiledRun, compile_run
from mtl_jax.runner.distributed import require_all_processes
from mtl_jax.runner.evaluated_models import splits_at_end, splits_during
from mtl_jax.runner.first_seeds import FirstSeeds
from mtl_jax.runner.frozen_features import encode_evaluation, encode_training, encodes_once
from mtl_jax.runner.grouped_convolutions import require_no_grouped_convolutions
from mtl_jax.runner.init_params import load_pretrained
from mtl_jax.runner.part_checks import check_parts
from mtl_jax.runner.population import Population
from mtl_jax.runner.seed_functions import precompute_seeds
from mtl_jax.runner.step_blocks import first_block
from mtl_jax.runner.streamed_shapes import is_streamed, streamed_shapes
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.train import SourceModel, TrainData, TrainState, methods_with_precompute


def abstract_state(run: Run) -> TrainState:
    """Shapes of a run's initial state, without computing or reading data.

    Its source runs are traced too.

    Raises:
      BadInput: if the data, source and settings of the run do not match.
    """
    return abstract_init_state(run, compile_run(run, abstract_data(run)))


def abstract_init_state(run: Run, compiled: CompiledRun) -> TrainState:
    """Shapes of the initial state of a compiled run."""
    source = run.initialization.init_from
    if source is None:
        return compiled.abstract_init(None)
    if not isinstance(source, Run):
        return compiled.abstract_init(jax.eval_shape(lambda tree: tree, load_pretrained(run)))
    state = abstract_state(source)
    return compiled.abstract_init((state.params, state.batch_stats))


class TracedRun(NamedTuple):
    """A compiled run, and the shapes of its state and training data."""

    compiled: CompiledRun
    state: TrainState
    data: TrainData


def trace_run(
    run: Run, steps: int | None = None, splits: Any = None, requested: DeviceMesh | None = None
) -> TracedRun:
    """Traces a run's initialization, step and evaluation.

    The traces are reused when the program trains.

    Args:
      run: the run configuration.
      steps: length of the traced block of steps; that of the first block if None.
      splits: shapes of the evaluation splits; those of the training data if None.
      requested: how all devices are arranged; None arranges them for the run.

    Raises:
      BadInput: as in `abstract_state`, and if a penalty, the balancing or the mesh does not suit
        the run.
    """
    compiled, state, data = trace_inputs(run, requested, run.num_seeds)
    steps = steps or first_block(run, compiled.execution)
    own = data_of_steps(compiled, data, steps)
    traced = compiled.train_steps.trace(state, own, steps)
    require_no_grouped_convolutions(run, traced.jaxpr, compiled.mesh.shape["model"])
    trace_evaluation(compiled, state, data, splits)
    if run.evaluation.measure_affinity:
        compiled.affinity.trace(state, data_of_steps(compiled, data, 1))
    return TracedRun(compiled, state, own)


class TracedPopulation(NamedTuple):
    """A population, and the shapes of its states and training data."""

    population: Population
    states: TrainState
    data: TrainData


def trace_population(
    runs: tuple[Run, ...], splits: Any, requested: DeviceMesh | None = None
) -> TracedPopulation | None:
    """Traces the initialization, step and evaluation of runs that differ in numbers only.

    Args:
      runs: the runs.
      splits: shapes of the evaluation splits; those of the training data if None.
      requested: how all devices are arranged; None arranges them for the runs.

    Returns:
      The population; None if a number cannot be traced, as where Python branches on it.

    Raises:
      BadInput: if a part of a run is wrong.
    """
    for run in runs[1:]:
        check_parts(run)
    first_seeds = FirstSeeds(runs)
    num_seeds = sum(run.num_seeds for run in first_seeds.firsts)
    compiled, state, data = trace_inputs(runs[0], requested, num_seeds)
    population = Population(runs, compiled)
    source = None if data.source_model is None else tuple(data.source_model[:2])
    try:
        states = population.abstract_init(source)
        steps = first_block(runs[0], compiled.execution)
        own = first_seeds.stack_shapes(data_of_steps(compiled, data, steps))
        traced = population.trace(states, own, steps)
        require_no_grouped_convolutions(runs[0], traced.jaxpr, compiled.mesh.shape["model"])
        if runs[0].evaluation.measure_affinity:
            one = first_seeds.stack_shapes(data_of_steps(compiled, data, 1))
            population.trace_affinity(states, one)
    except Exception:  # noqa: BLE001, each run is traced by itself then.
        return None
    trace_evaluation(compiled, state, data, splits)
    return TracedPopulation(population, states, own)


def trace_inputs(run: Run, requested: DeviceMesh | None, num_seeds: int) -> TracedRun:
    """Checks the parts of a run, and traces its initialization.

    Args:
      run: the run.
      requested: how all devices are arranged; None arranges them for the run.
      num_seeds: number of seeds of its program, which may be of a population.
    """
    check_parts(run)
    data = abstract_data(run)
    compiled = compile_run(run, data, requested=requested, num_seeds=num_seeds)
    require_all_processes(run, compiled.mesh, data)
    state = abstract_init_state(run, compiled)
    has_source = run.initialization.init_from is not None
    source = SourceModel(state.params, state.batch_stats) if has_source else None
    data = with_precomputed(
        run, compiled, data._replace(source_model=source), precompute_seeds.eval_shape
    )
    if encodes_once(compiled, state, data, num_seeds):
        compiled = dataclasses.replace(compiled, encodes_once=True)
        data = jax.eval_shape(functools.partial(encode_training, compiled), state, data)
        data = compiled.put_data(data)
    return TracedRun(compiled, state, data)


def data_of_steps(compiled: CompiledRun, data: TrainData, steps: int) -> TrainData:
    """Shapes of the data of a block of steps."""
    if not is_streamed(compiled.execution):
        return data
    return compiled.put_data(streamed_shapes(compiled.run, data, steps))


def trace_evaluation(
    compiled: CompiledRun, state: TrainState, data: TrainData, splits: Any = None
) -> None:
    """Traces an evaluation on splits of some shapes; on the training data if None."""
    if splits is not None and compiled.encodes_once:
        splits = jax.eval_shape(functools.partial(encode_evaluation, compiled), state, splits)
    streams = {name: {"inputs": s.inputs, **s.labels} for name, s in data.streams.items()}
    found = {"train": streams} if splits is None else splits
    config, trace = compiled.evaluation_config, compiled.jitted_evaluation.trace
    for own in (splits_during(compiled.run, found), splits_at_end(compiled.run, found)):
        trace(config, state.params, state.batch_stats, own)


def with_precomputed(
    run: Run,
    compiled: CompiledRun,
    data: TrainData,
    precompute: Callable[..., Any] = precompute_seeds,
) -> TrainData:
    """Places the training data on the devices and adds the precomputed values of the methods."""
    data = compiled.put_data(data)
    source = data.source_model
    if source is None or not methods_with_precompute(run):
        return data
    precomputed = precompute(compiled.execution.seed_loop, run, source, data)
    return compiled.put_data(data._replace(source_model=source._replace(precomputed=precomputed)))
