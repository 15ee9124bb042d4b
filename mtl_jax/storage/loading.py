"""Cached loading of the data of runs and baselines, shared by all seeds or per seed."""

import functools

from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import require
from mtl_jax.data import PerSeed


@functools.lru_cache(maxsize=4)
def load(source: DataSource, seeds: tuple[int, ...] = ()) -> tuple[Splits, ...]:
    """Loads a data source, cached across runs: one `Splits`, or one for each seed of `PerSeed`.

    Raises:
      BadInput: if the source returns something else.
    """
    by_seed = isinstance(source, PerSeed) and seeds
    sources = [source.of(seed) for seed in seeds] if by_seed else [source]
    loaded = tuple(each.load() for each in sources)
    rule = "must give mtl_jax.core.data_source.Splits"
    for splits in loaded:
        require(isinstance(splits, Splits), source, "load", rule, splits)
    return loaded


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
