"""The data of a population on its devices, and what differs between seeds stacked."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mtl_jax.core.tree import shapes_of
from mtl_jax.runner.device_data import DeviceData, device_data
from mtl_jax.runner.first_seeds import FirstSeeds
from mtl_jax.runner.population import Population
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import TrainData, TrainState


class PopulationData(NamedTuple):
    """The data of a population's runs; runs with the same first seed share all of it."""

    first_seeds: FirstSeeds
    by_first_seed: list[DeviceData]  # F of them, as for runs by themselves.
    train: TrainData  # Stacked by `FirstSeeds.stack`, as the next ones.
    splits: Any
    hidden: Any  # None if the numbers of examples differ.

    @property
    def first(self) -> DeviceData:
        """The data of the first run."""
        return self.by_first_seed[0]

    def block(self, start: int, stop: int) -> TrainData:
        """The training data of a block of steps, as `DeviceData.block`."""
        if self.first.streamed is None:
            return self.train
        blocks = [data.block(start, stop) for data in self.by_first_seed]
        return self.first_seeds.stack(self.first_seeds.train_axes(blocks[0]), blocks)

    def close(self) -> None:
        """Ends the reading ahead, and its workers, which all share."""
        for data in self.by_first_seed[1:]:
            if data.streamed is not None:
                data.streamed.close()
        self.first.close()


def population_data(
    population: Population, folders: Mapping[str, RunDirectory], states: Sequence[TrainState]
) -> PopulationData:
    """Places the data of a population on its devices, examples that all runs share once.

    Args:
      population: the population.
      folders: the folders of the runs that it needs, by name.
      states: the initial states of its runs.
    """
    seeds, template = population.first_seeds, population.template
    found: list[DeviceData] = []
    for run in seeds.firsts:
        compiled = dataclasses.replace(template, run=run)
        state = states[population.runs.index(run)]
        placed = found[0] if found and seeds.split_axis is None else None
        found.append(device_data(run, compiled, folders, state, placed))
    hidden = [data.hidden for data in found]
    is_alike = all(shapes_of(own) == shapes_of(hidden[0]) for own in hidden)
    train = [data.train for data in found]
    return PopulationData(
        seeds,
        found,
        seeds.stack(seeds.train_axes(train[0]), train),
        seeds.stack(seeds.split_axis, [data.splits for data in found]),
        seeds.stack(0, hidden) if is_alike else None,
    )
