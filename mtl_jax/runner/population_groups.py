"""Groups runs that can train as one population."""

from collections.abc import Iterable, Sequence

import jax
import numpy as np

from mtl_jax import train
from mtl_jax.config.run import Run
from mtl_jax.core.numbers import structure
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.execution import default_execution
from mtl_jax.runner.first_seeds import by_first_seed
from mtl_jax.runner.memory_check import required_bytes, size_text
from mtl_jax.runner.population import OPAQUE
from mtl_jax.storage.memory import device_memory
from mtl_jax.storage.seeds import seed_axis

MEMORY_SHARE = 0.25  # Of the memory, for the states and batches of a population.


def group_runs(runs: Iterable[Run], most: int | None) -> list[tuple[Run, ...]]:
    """Groups runs that can be a population, in the order of the first ones.

    A run that cannot be in one is alone: its seeds are not vmapped, as those of convolutional
    trunks on a CPU; validation stops it or changes its rate; or its numbers may count in work
    before its steps, such as a teacher's predictions. Runs that start from source runs have those
    of their own seeds, and are with runs of the same seeds only.

    Args:
      runs: the runs.
      most: size of the largest group; None is as many as fit into a quarter of the memory.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.name if most == 1 else group_key(run), []).append(run)
    return [part for group in groups.values() for part in split(group, most)]


def group_key(run: Run) -> str:
    """Equal for runs that can be in one population; the name of a run that cannot be in one."""
    if not can_share(run):
        return run.name
    keeps_seeds = isinstance(run.initialization.init_from, Run)  # Its models are of these seeds.
    first_seed = run.first_seed if keeps_seeds else 0
    averages = run.evaluation.ema_decay > 0  # If not, one model is evaluated.
    unnamed = run.replace(name="run", first_seed=first_seed)
    try:
        return f"Run: {structure(unnamed, OPAQUE)}, {averages}"
    except BadInput:  # It has no text, which is told where the run is checked.
        return run.name


def can_share(run: Run) -> bool:
    """Whether a run can be in a population."""
    return (
        default_execution(run, jax.default_backend()).seed_loop == "vmap"
        and run.evaluation.patience is None
        and not run.optimizer.observes_validation
        and not run.labels.teachers
        and not train.methods_with_precompute(run)
    )


def split(group: Sequence[Run], most: int | None) -> list[tuple[Run, ...]]:
    """Splits a group into parts as equal in size as possible, none larger than is allowed."""
    if len(group) == 1:
        return [tuple(group)]
    if has_own_data(group):  # So that parts have few first seeds.
        group = [run for seed in by_first_seed(group) for run in group if run.first_seed == seed]
    if most is None:
        data, of_run = population_bytes(group)
        own_data = data / len(group) if has_own_data(group) else 0
        most = max(1, int(MEMORY_SHARE * device_memory() / (of_run + own_data)))
    count = -(-len(group) // most)
    return [tuple(part) for part in np.array_split(np.array(group, object), count)]


def has_own_data(runs: Sequence[Run]) -> bool:
    """Whether all data are kept for each first seed."""
    return seed_axis(runs[0]) == 0 and len(by_first_seed(runs)) > 1


def population_bytes(runs: Sequence[Run]) -> tuple[int, int]:
    """Lower bounds on the bytes of a population: of the data, and of each of its runs."""
    sizes = required_bytes(runs[0])
    # Those of a first seed are in the data of all as well.
    copies = 2 * len(by_first_seed(runs)) if has_own_data(runs) else 1
    of_run = sizes["parameters and optimizer"] + sizes["a batch"]
    return copies * sizes["data"], max(1, of_run)


def check_population(runs: Sequence[Run]) -> None:
    """Rejects a population of a size that is given and needs more memory than there is.

    Raises:
      BadInput: with the required memory.
    """
    data, of_run = population_bytes(runs)
    needed, available = data + len(runs) * of_run, device_memory()
    if len(runs) > 1 and needed > available:
        raise BadInput(
            f"Experiment.max_population is too large: {runs[0].name!r} and {len(runs) - 1} more "
            f"need at least {size_text(needed)} of memory, there are {size_text(available)}"
        )
