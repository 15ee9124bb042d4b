"""The data of runs and of rows: read once, one for all seeds or one for each."""

import functools

from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.core.protocols import Source, Splits
from mtl_jax.core.validation import require
from mtl_jax.data import PerSeed


@functools.lru_cache(maxsize=4)
def load(source: Source, seeds: tuple[int, ...] = ()) -> tuple[Splits, ...]:
    """Reads a source once, however many runs use it: its data, or those of each of some seeds.

    Raises:
      BadInput: if a source gives something else.
    """
    found = tuple(source.of(seed).load() for seed in seeds) if seeds else (source.load(),)
    for each in found:
        fine = isinstance(each, Splits)
        require(fine, source, "load", "must give mtl_jax.core.protocols.Splits", each)
    return found


def seeds_of(row: Run | Classic) -> tuple[int, ...]:
    """The seeds of a run or a row."""
    return tuple(range(row.first_seed, row.first_seed + row.seeds))


def seed_axis(row: Run | Classic) -> int | None:
    """The axis of the seeds in the arrays of a run's data: None if all seeds share them."""
    return 0 if isinstance(row.data, PerSeed) else None


def read(row: Run | Classic) -> tuple[Splits, ...]:
    """The data of a run or a row: one for all seeds, or one for each."""
    return load(row.data, apart(row))


def apart(row: Run | Classic) -> tuple[int, ...]:
    """The seeds that have data of their own: all of them or none."""
    return seeds_of(row) if seed_axis(row) == 0 else ()
