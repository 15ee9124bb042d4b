"""The first seeds of a population's runs, for each of which there are data."""

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from mtl_jax.config.run import Run
from mtl_jax.runner.loops import is_axis, take_index
from mtl_jax.runner.run_axis import add_axis
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.train import TrainData


def by_first_seed(runs: Iterable[Run]) -> dict[int, Run]:
    """The first of the runs with each first seed."""
    found: dict[int, Run] = {}
    for run in runs:
        found.setdefault(run.first_seed, run)
    return found


@dataclasses.dataclass(frozen=True)
class FirstSeeds:
    """The F different first seeds of P runs, in the order in which they appear.

    Data have a leading axis F where they depend on seeds, unless all runs have the same.
    """

    runs: tuple[Run, ...]

    @functools.cached_property
    def firsts(self) -> list[Run]:
        """The first run with each first seed, F of them."""
        return list(by_first_seed(self.runs).values())

    @functools.cached_property
    def indices(self) -> np.ndarray:
        """Index of the first seed of each run, int32 `[P]`."""
        places = {seed: place for place, seed in enumerate(by_first_seed(self.runs))}
        return np.array([places[run.first_seed] for run in self.runs], np.int32)

    @property
    def split_axis(self) -> int | None:
        """The axis of first seeds in evaluation data; None if all seeds share them."""
        return seed_axis(self.runs[0])

    def train_axes(self, data: TrainData) -> TrainData | int:
        """The axes of first seeds in training data, a prefix; streamed examples are of each."""
        is_block = any(stream.rows is not None for stream in data.streams.values())
        return 0 if is_block else data.in_axes(self.split_axis, 0)

    def stack_shapes(self, data: TrainData) -> TrainData:
        """Shapes of the training data of all runs, from those of one."""
        return self.stack(self.train_axes(data), [data] * len(self.firsts))

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
        return tree if len(self.firsts) == 1 else take_index(axes, tree, index)


def stack_leaves(*leaves: Any) -> Any:
    """Arrays or shapes `[F, ...]`, with the sharding of the first one."""
    first, sharding = leaves[0], leaves[0].sharding
    sharding = add_axis(sharding) if isinstance(sharding, NamedSharding) else None
    if isinstance(first, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct((len(leaves), *first.shape), first.dtype, sharding=sharding)
    stacked = jnp.stack(leaves)
    return stacked if sharding is None else jax.device_put(stacked, sharding)
