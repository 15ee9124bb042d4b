"""Cached loading of the data of runs and baselines, shared by all seeds or per seed."""

import functools

from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import require
from mtl_jax.data import PerSeed


@functools.lru_cache(maxsize=4)
def load(source: DataSource, seeds: tuple[int, ...] = ()) -> tuple[Splits, ...]:
    """Loads a data source, cached across runs: one `Splits`, or one for each of `seeds`.

    Raises:
      BadInput: if the source returns something else.
    """
    found = tuple(source.of(seed).load() for seed in seeds) if seeds else (source.load(),)
    for each in found:
        fine = isinstance(each, Splits)
        require(fine, source, "load", "must give mtl_jax.core.data_source.Splits", each)
    return found


def seeds_of(row: Run | SklearnBaseline) -> tuple[int, ...]:
    """The seeds of a run or a baseline."""
    return tuple(range(row.first_seed, row.first_seed + row.num_seeds))


def seed_axis(row: Run | SklearnBaseline) -> int | None:
    """Seed axis of the arrays of a run's data; None if all seeds share them."""
    return 0 if isinstance(row.data, PerSeed) else None


def load_row(row: Run | SklearnBaseline) -> tuple[Splits, ...]:
    """The data of a run or a baseline: one `Splits` for all seeds, or one per seed."""
    return load(row.data, separate_seeds(row))


def separate_seeds(row: Run | SklearnBaseline) -> tuple[int, ...]:
    """The seeds that have separate data: all or none."""
    return seeds_of(row) if seed_axis(row) == 0 else ()
