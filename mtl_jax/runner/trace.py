"""Traces runs on shapes, so that all runs are checked before any is trained."""

from collections.abc import Callable
from typing import Any

import jax

from mtl_jax.config.run import Run
from mtl_jax.runner.compiled_run import (
    CompiledRun,
    compile_run,
    default_execution,
    precompute_seeds,
)
from mtl_jax.runner.init_params import load_pretrained
from mtl_jax.runner.part_checks import check_parts
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.train import SourceModel, TrainData, TrainState, methods_with_precompute


def abstract_state(run: Run) -> TrainState:
    """Shapes of a run's initial state, without computing or reading data.

    Its source runs are traced too.

    Raises:
      BadInput: if the data, source and settings of the run do not match.
    """
    return abstract_init_state(run, compile_run(run, abstract_data(run)))


def abstract_init_state(run: Run, made: CompiledRun) -> TrainState:
    """Shapes of the initial state of a compiled run."""
    if run.initialization.init_from is None:
        return made.abstract_init(None)
    if not isinstance(run.initialization.init_from, Run):
        return made.abstract_init(jax.eval_shape(lambda read: read, load_pretrained(run)))
    before = abstract_state(run.initialization.init_from)
    return made.abstract_init((before.params, before.batch_stats))


def trace_run(
    run: Run, steps: int, splits: Any = None
) -> tuple[CompiledRun, TrainState, TrainData]:
    """Traces a run's initialization, step and evaluation.

    The traces are reused when the program trains.

    Args:
      run: the run configuration.
      steps: length of the traced block of steps.
      splits: shapes of the evaluation splits; those of the training data if None.

    Returns:
      The compiled run, and the shapes of its state and training data.

    Raises:
      BadInput: as in `abstract_state`, and if a penalty or the balancing does not suit the run.
    """
    check_parts(run)
    given = abstract_data(run)
    made = compile_run(run, given)
    state = abstract_init_state(run, made)
    anchor = (
        SourceModel(state.params, state.batch_stats)
        if run.initialization.init_from is not None
        else None
    )
    given = with_precomputed(
        run, made, given._replace(source_model=anchor), precompute_seeds.eval_shape
    )
    made.train_steps.eval_shape(state, given, steps)
    streams = {name: {"image": s.image, **s.labels} for name, s in given.streams.items()}
    jax.eval_shape(made.evaluate, state, {"train": streams} if splits is None else splits)
    if run.evaluation.measure_affinity:
        made.affinity.eval_shape(state, given)
    return made, state, given


def with_precomputed(
    run: Run, made: CompiledRun, parts: TrainData, say: Callable[..., Any] = precompute_seeds
) -> TrainData:
    """Places the training data on the devices and adds the precomputed values of the methods."""
    given = made.put_data(parts)
    if given.source_model is None or not methods_with_precompute(run):
        return given
    said = say(
        default_execution(run, jax.default_backend()).seed_loop, run, given.source_model, given
    )
    return made.put_data(given._replace(source_model=given.source_model._replace(precomputed=said)))
