"""The seeds of a row, and whether each has data of its own."""

from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.data import PerSeed


def seeds_of(row: Run | SklearnBaseline) -> tuple[int, ...]:
    """The seeds of a run or a baseline."""
    return tuple(range(row.first_seed, row.first_seed + row.num_seeds))


def seed_axis(row: Run | SklearnBaseline) -> int | None:
    """Seed axis of the arrays of a run's data; None if all seeds share them."""
    return 0 if isinstance(row.data, PerSeed) else None


def separate_seeds(row: Run | SklearnBaseline) -> tuple[int, ...]:
    """The seeds that have separate data: all or none."""
    return seeds_of(row) if seed_axis(row) == 0 else ()
