"""The programs of a launch: each trains one run, or several that differ in numbers only."""

import functools
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.config.run import Run
from mtl_jax.core.numbers import Path, numbers_in, with_numbers
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.compile_ahead import CompileAhead, compile_block
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.error_messages import explain_errors, has_user_code
from mtl_jax.runner.population import OPAQUE, Population
from mtl_jax.runner.step_blocks import first_block
from mtl_jax.runner.trace import trace_population, trace_run
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import TrainData


class DataShapes(NamedTuple):
    """The shapes of a run's data."""

    train: TrainData | None
    splits: Any


class Program(NamedTuple):
    """Runs that are trained by one program."""

    runs: tuple[Run, ...]
    functions: CompiledRun | Population

    @property
    def name(self) -> str:
        """The name of its first run."""
        return self.runs[0].name


class Group(NamedTuple):
    """Runs that can train as one program."""

    population: tuple[Run, ...]  # Others too, if they began in one that goes on.
    runs: tuple[Run, ...]  # Those that are to be trained.


def pending_groups(
    groups: Iterable[tuple[Run, ...]],
    pending: Container[str],
    folders: Mapping[str, RunDirectory],
    fresh: bool,
) -> list[Group]:
    """The runs that are to be trained, in groups.

    A run that goes on from a checkpoint does so in the population that it began in, so that it is
    bitwise what it would be without the interruption.

    Args:
      groups: runs that can train as one program, all of this launch.
      pending: names of the runs that are to be trained.
      folders: the folders of the runs, by name.
      fresh: whether runs begin anew.
    """
    found = []
    for group in groups:
        by_population: dict[tuple[str, ...] | None, list[Run]] = {}
        for run in (run for run in group if run.name in pending):
            began_in = None if fresh else population_of(folders[run.name])
            by_population.setdefault(began_in, []).append(run)
        by_name = {run.name: run for run in group}
        for names, runs in by_population.items():
            if names is None:
                found.append(Group(tuple(runs), tuple(runs)))
            elif names and all(name in by_name for name in names):
                found.append(Group(tuple(by_name[name] for name in names), tuple(runs)))
            else:
                found.extend(Group((run,), (run,)) for run in runs)
    return found


def population_of(folder: RunDirectory) -> tuple[str, ...] | None:
    """The population that the last checkpoint of a run is from, () if none; None without one."""
    try:
        note = CheckpointManager(folder.checkpoints, print).last_note()
    except BadInput:  # It is told where the run is trained.
        return ()
    return tuple(note.get("population", ())) if note else None


def prepare_group(
    group: Group,
    shapes: Mapping[int, DataShapes],
    ahead: CompileAhead,
    requested: DeviceMesh | None = None,
) -> list[Program]:
    """Traces and checks a group; returns its program, or those of parts of it or of its runs.

    Args:
      group: the group.
      shapes: the shapes of its data, by first seed.
      ahead: compiles the first blocks of the programs.
      requested: how all devices are arranged; None arranges them for each run.
    """
    first = group.runs[0]
    splits = shapes[first.first_seed].splits
    if len(group.population) == 1:
        return [prepare_run(first, splits, ahead, requested)]
    parts = parts_by_shapes(group.population, shapes)
    if len(parts) == 1:
        with explain_errors(f"run {first.name!r}", always=has_user_code(first)):
            traced = trace_population(group.population, splits, requested)
            if traced is None:
                parts = traceable_parts(group.population, splits, requested)
        if traced is not None:
            population, states, data = traced
            steps = first_block(first, population.template.execution)
            lower = functools.partial(population.lower, states, data, steps)
            ahead.add(first.name, functools.partial(compile_block, lower))
            return [Program(group.runs, population)]
    pending = [Group(part, tuple(run for run in part if run in group.runs)) for part in parts]
    return [
        program
        for part in pending
        if part.runs
        for program in prepare_group(part, shapes, ahead, requested)
    ]


def parts_by_shapes(
    population: tuple[Run, ...], shapes: Mapping[int, DataShapes]
) -> list[tuple[Run, ...]]:
    """Parts of a population whose data have the same shapes."""
    parts: list[tuple[DataShapes, list[Run]]] = []
    for run in population:
        own = shapes[run.first_seed]
        alike = [part for other, part in parts if other == own]
        if alike:
            alike[0].append(run)
        else:
            parts.append((own, [run]))
    return [tuple(part) for _, part in parts]


def traceable_parts(
    population: tuple[Run, ...], splits: Any, requested: DeviceMesh | None
) -> list[tuple[Run, ...]]:
    """Parts of a population that cannot be traced, equal in each number that alone cannot be."""
    numbers = [numbers_in(run, OPAQUE) for run in population]

    def is_traceable(path: Path, value: float) -> bool:
        other = with_numbers(population[0], {path: value})
        try:
            return trace_population((population[0], other), splits, requested) is not None
        except BadInput:  # No run has these numbers.
            return False

    differing = {
        path: next(own[path] for own in numbers if own[path] != value)
        for path, value in numbers[0].items()
        if len({own[path] for own in numbers}) > 1
    }
    fixed = [path for path, value in differing.items() if not is_traceable(path, value)]
    parts: dict[tuple[float, ...], list[Run]] = {}
    for run, own in zip(population, numbers, strict=True):
        parts.setdefault(tuple(own[path] for path in fixed), []).append(run)
    if len(parts) == 1:  # Numbers cannot be traced together.
        return [(run,) for run in population]
    return [tuple(part) for part in parts.values()]


def prepare_run(
    run: Run, splits: Any, ahead: CompileAhead, requested: DeviceMesh | None = None
) -> Program:
    """Traces and checks a run; its first block is compiled ahead."""
    with explain_errors(f"run {run.name!r}", always=has_user_code(run)):
        compiled, state, data = trace_run(run, splits=splits, requested=requested)
    steps = first_block(run, compiled.execution)
    lower = functools.partial(compiled.train_steps.lower, state, data, steps)
    ahead.add(run.name, functools.partial(compile_block, lower))
    return Program((run,), compiled)
