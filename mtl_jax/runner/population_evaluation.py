"""Evaluation of a population during training: all its runs in one call."""

from typing import Any

import jax
from jax.stages import Lowered

from mtl_jax.runner.evaluated_models import splits_during
from mtl_jax.runner.evaluation import Measured
from mtl_jax.runner.evaluation_programs import programs_at_end
from mtl_jax.runner.population import Population
from mtl_jax.runner.population_data import PopulationData
from mtl_jax.train import TrainState


def is_joint(population: Population, data: PopulationData) -> bool:
    """Whether one call evaluates all runs.

    Each run evaluates its own state if examples are streamed, numbers in which the runs differ are
    of metrics, or the numbers of examples with hidden labels differ.
    """
    metrics = {tuple(task.metrics for task in run.tasks) for run in population.runs}
    return data.first.streamed is None and data.hidden is not None and len(metrics) == 1


def measure_population(
    population: Population, states: TrainState, data: PopulationData, affinity: dict[str, Any]
) -> Measured | None:
    """Evaluates all states, with leaves `[P, S, ...]`; None if each run evaluates its own.

    Args:
      population: the population.
      states: its states.
      data: its data.
      affinity: between tasks, as `population_affinity` returns it.
    """
    if not is_joint(population, data):
        return None
    found = population.jitted_evaluation(*evaluation_inputs(population, states, data))
    return Measured(*jax.device_get(found), affinity)


def population_affinity(
    population: Population, states: TrainState, data: PopulationData
) -> dict[str, Any]:
    """The affinity between tasks `[P, S, K, K]`; {} if no run or each by itself measures it."""
    if not population.template.run.evaluation.measure_affinity or not is_joint(population, data):
        return {}
    return jax.device_get(population.affinity(states, data.train))


def population_programs(
    population: Population, states: TrainState, state: TrainState, data: PopulationData
) -> list[Lowered]:
    """The programs that evaluate a population; none if each run evaluates its own state.

    Args:
      population: the population.
      states: its states `[P, S, ...]`.
      state: the state of its first run, which are evaluated one by one at the end.
      data: the data of all runs.
    """
    if not is_joint(population, data):
        return []
    programs, inputs = [], evaluation_inputs(population, states, data)
    if population.template.run.evaluation.measure_affinity:
        programs.append(population.trace_affinity(states, data.train).lower())
    programs.append(population.jitted_evaluation.lower(*inputs))
    return [*programs, *programs_at_end(population.template, state, data.first)]


def evaluation_inputs(
    population: Population, states: TrainState, data: PopulationData
) -> tuple[TrainState, Any, Any, Any]:
    """The arguments of the jitted evaluation."""
    splits = splits_during(population.template.run, data.splits)
    return states, splits, data.train, data.hidden
