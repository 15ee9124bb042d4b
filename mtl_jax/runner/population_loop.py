"""Trains a population: one program takes the steps of its runs, each of which has its own files."""

import contextlib
import dataclasses
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence

import jax

from mtl_jax.runner.block_timer import BlockTimer
from mtl_jax.runner.compile_ahead import Compilation
from mtl_jax.runner.divergence import diverged_seeds
from mtl_jax.runner.evaluation_programs import BackgroundCompilation
from mtl_jax.runner.init_params import initial_parameters
from mtl_jax.runner.observers import Observers
from mtl_jax.runner.population import Population
from mtl_jax.runner.population_data import PopulationData, population_data
from mtl_jax.runner.population_evaluation import (
    measure_population,
    population_affinity,
    population_programs,
)
from mtl_jax.runner.population_member import Member, evaluate_member, raise_error
from mtl_jax.runner.run_axis import stack, unstack
from mtl_jax.runner.signals import Stopped, StopSignals
from mtl_jax.runner.step_blocks import is_due, step_blocks
from mtl_jax.runner.training import Training
from mtl_jax.storage.checkpoint import CheckpointManager, wait_for_writer
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import TrainState, examples_per_step


class PopulationTraining:
    """A population in training.

    Attributes:
      population: its compiled functions.
      members: the runs that are to be trained; other places are computed for nothing.
      folders: the folders of the runs and of what they need, by name.
      observers: the display, and whether operations that diverge are located.
      states: the states `[P, S, ...]`.
      data: the data of all runs.
      timer: times the blocks of this launch, with the examples of one run.
      evaluations: compiles the programs of its evaluations.
    """

    states: TrainState
    data: PopulationData
    timer: BlockTimer
    evaluations: BackgroundCompilation

    def __init__(
        self,
        population: Population,
        members: Sequence[Member],
        folders: Mapping[str, RunDirectory],
        observers: Observers,
    ):
        self.population, self.members = population, members
        self.folders, self.observers = folders, observers

    @property
    def alive(self) -> list[Member]:
        """The members that have not failed."""
        return [member for member in self.members if member.is_alive]

    def load(self) -> None:
        """Makes the initial states, and places the data on the devices."""
        template = self.population.template
        self.states = self.population.init(initial_parameters(template.run, self.folders))
        by_run = unstack(self.states)
        self.data = population_data(self.population, self.folders, by_run)
        per_seed = examples_per_step(template.run, self.data.first.train)
        self.timer = BlockTimer(template.run.num_seeds * per_seed)
        programs = population_programs(self.population, self.states, by_run[0], self.data)
        self.evaluations = BackgroundCompilation(programs)

    def resume(self) -> int:
        """Brings all members to the last step of which each has a checkpoint; returns it."""
        states = unstack(self.states)
        steps = [set(sealed_steps(member.folder)) for member in self.members]
        common = max(set.intersection(*steps), default=0)
        for last in (common, 0):  # A damaged checkpoint is set aside as it is read.
            for member in self.alive:
                member.attempt(self.open, member, states[member.place], last)
            if all(member.training.step == last for member in self.alive):
                break
        if last:
            for member in self.alive:
                states[member.place] = member.training.state
            self.states = jax.device_put(stack(states), self.population.state_sharding)
        return last

    def open(self, member: Member, state: TrainState, last_step: int) -> None:
        """Opens the files of a member, from its initial state or its last checkpoint."""
        compiled = dataclasses.replace(self.population.template, run=member.folder.run)
        index = self.population.first_seeds.indices[member.place]
        start = (state, self.data.by_first_seed[index])
        member.training = Training(
            compiled, self.folders, self.observers.display.warn, start, last_step
        )
        member.training.share = 1 / len(self.members)
        member.training.timer = self.timer
        member.training.population = [run.name for run in self.population.runs]

    def evaluate(self, step: int) -> None:
        """Evaluates the members, and sends their records to the trackers.

        Compilation and the affinity do not count as training time, as for single runs.
        """
        args = (self.population, self.states, self.data)
        with contextlib.ExitStack() as uncounted:
            for member in self.alive:
                uncounted.enter_context(member.training.uncounted())
            self.evaluations.wait()
            affinity = population_affinity(*args)
        measured = measure_population(*args, affinity)
        for member in self.alive:
            own = jax.tree.map(operator.itemgetter(member.place), measured)
            member.attempt(evaluate_member, member, step, own)

    def train_block(self, start: int, stop: int) -> None:
        """Trains all runs for a block of steps; a member that diverges fails."""
        steps = stop - start
        with self.timer.measure(steps):
            with self.timer.wait():
                data = self.data.block(start, stop)
            self.states, metrics = self.population.train_steps(self.states, data, steps)
            diverged = diverged_seeds(self.states, metrics)  # Waits for the block.
        found = jax.device_get(metrics)
        for member in self.alive:
            own = {name: values[member.place] for name, values in found.items()}
            member.training.blocks.append((steps, own))
            if diverged[member.place]:
                member.attempt(self.raise_divergence, member, start, stop)
        shown = {name: values.mean(0) for name, values in found.items()}
        rate = self.timer.examples_per_second
        rate = rate and len(self.population.runs) * rate
        wait_share = None if self.data.first.streamed is None else self.timer.wait_share
        self.observers.display.update(stop, shown, rate, wait_share)

    def raise_divergence(self, member: Member, start: int, stop: int) -> None:
        """Raises the error of a member that diverged in the block after step `start`."""
        raise member.training.locate_divergence(start, stop, self.observers.debug)

    def unstack(self) -> None:
        """Gives the members their states."""
        states = unstack(self.states)
        for member in self.alive:
            member.training.state = states[member.place]


def train_population(
    training: PopulationTraining, job: Callable[[], Compilation], signals: StopSignals
) -> None:
    """Trains or resumes the members of a population, and writes the files of each.

    Args:
      training: the population.
      job: gives the program of its first block.
      signals: a signal stops it after a block, unless it is the last.

    Raises:
      Stopped: if a signal stopped it; the last checkpoints are of the last step.
    """
    try:
        training.load()
        train_to_end(training, job, signals)
    except Exception as error:  # noqa: BLE001, it is that of each run.
        for member in training.alive:
            member.attempt(raise_error, error)


def train_to_end(
    training: PopulationTraining, job: Callable[[], Compilation], signals: StopSignals
) -> None:
    """Trains the members and writes their files; waits for checkpoints whatever happens."""
    warn = training.observers.display.warn
    try:
        compilation = job()
        with signals.deferred():
            train_blocks(training, signals)
        for member in training.alive:
            member.attempt(member.training.checkpoints.wait)
        for member in training.alive:
            member.attempt(member.training.write_result, compilation, warn)
    finally:
        training.evaluations.close()
        training.data.close()
        wait_for_writer()


def train_blocks(training: PopulationTraining, signals: StopSignals) -> None:
    """Trains the blocks of steps that remain."""
    run = training.population.runs[0]
    steps_per_call = training.population.template.execution.steps_per_call
    for start, stop in step_blocks(run, training.resume(), steps_per_call):
        if not training.alive:
            return
        training.train_block(start, stop)
        evaluates = is_due(run, stop, run.evaluation.every)
        saves = signals.number or is_due(run, stop, run.evaluation.checkpoint_every)
        if evaluates or saves:
            training.unstack()
        if evaluates:
            training.evaluate(stop)
        for member in training.alive if saves else ():
            member.attempt(member.training.save_checkpoint, stop)
        if signals.number and stop < run.steps:
            wait_for_writer()
            text = f"run {run.name!r} and others stopped after step {stop}; launch again to go on"
            raise Stopped(signals.number, text)


def sealed_steps(folder: RunDirectory) -> list[int]:
    """Steps of the checkpoints in the folder of a run."""
    return CheckpointManager(folder.checkpoints, print).steps()


def parts_by_step(folders: Iterable[RunDirectory]) -> list[list[RunDirectory]]:
    """Parts of a population's runs, so that all runs of one can resume from the same step."""
    parts: list[tuple[set[int], list[RunDirectory]]] = []
    for folder in folders:
        steps = set(sealed_steps(folder)) or {0}
        for place, (common, part) in enumerate(parts):
            if common & steps:
                parts[place] = (common & steps, [*part, folder])
                break
        else:
            parts.append((steps, [folder]))
    return [part for _, part in parts]
