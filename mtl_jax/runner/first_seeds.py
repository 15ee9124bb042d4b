"""The first seeds of a population's runs, for each of which there are data."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from mtl_jax.config.run import Run
from mtl_jax.runner.loops import is_axis, seed_of
from mtl_jax.runner.run_axis import add_axis
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.train import TrainData


@dataclasses.dataclass(frozen=True)
class FirstSeeds:
    """The F different first seeds of P runs, in the order of the runs.

    Data have a leading axis F where they depend on seeds, unless all runs have the same.
    """

    population: tuple[Run, ...]

    @functools.cached_property
    def runs(self) -> list[Run]:
        """The first run with each first seed, F of them."""
        found: dict[int, Run] = {}
        for run in self.population:
            found.setdefault(run.first_seed, run)
        return list(found.values())

    @functools.cached_property
    def indices(self) -> np.ndarray:
        """Index of the first seed of each run, int32 `[P]`."""
        places = {run.first_seed: place for place, run in enumerate(self.runs)}
        return np.array([places[run.first_seed] for run in self.population], np.int32)

    @property
    def split_axes(self) -> int | None:
        """The axis of first seeds in evaluation data; None if all seeds share them."""
        return seed_axis(self.population[0])

    def train_axes(self, data: TrainData) -> TrainData | int:
        """The axes of first seeds in training data, a prefix; streamed examples are of each."""
        is_block = any(stream.rows is not None for stream in data.streams.values())
        return 0 if is_block else data.in_axes(self.split_axes, 0)

    def stack_shapes(self, data: TrainData) -> TrainData:
        """Shapes of the training data of all runs, from those of one."""
        return self.stack(self.train_axes(data), [data] * len(self.runs))

    def stack(self, axes: Any, trees: list[Any]) -> Any:
        """Stacks F trees, one for each first seed.

        Args:
          axes: a prefix of the trees: 0 where they differ, None where the first one is for all.
          trees: the trees, of arrays on devices or of shapes.
        """
        if len(trees) == 1:
            return trees[0]

        def stack_parts(axis: int | None, *parts: Any) -> Any:
            return parts[0] if axis is None else jax.tree.map(stack_leaves, *parts)

        return jax.tree.map(stack_parts, axes, *trees, is_leaf=is_axis)

    def take(self, axes: Any, tree: Any, index: Any) -> Any:
        """The tree of the first seed at an index, from what `stack` made with the same axes."""
        return tree if len(self.runs) == 1 else seed_of((axes,), (tree,), index)[0]


def stack_leaves(*leaves: Any) -> Any:
    """Arrays or shapes `[F, ...]`, with the sharding of the first one."""
    first, sharding = leaves[0], leaves[0].sharding
    if not isinstance(sharding, NamedSharding):
        return jnp.stack(leaves)
    sharding = add_axis(sharding)
    if isinstance(first, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct((len(leaves), *first.shape), first.dtype, sharding=sharding)
    return jax.device_put(jnp.stack(leaves), sharding)
