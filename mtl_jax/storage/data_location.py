"""Where a run's examples are while it trains: on the device, in memory or on disk."""

from typing import Any

import jax

from mtl_jax.config.execution import DataLocation, Execution
from mtl_jax.config.run import Run
from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import require
from mtl_jax.storage.memory import bytes_of, device_memory, host_memory
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.train import TrainData

# The largest share of the training data in a memory; the other parts and the model need some too.
MEMORY_SHARE = 0.25


def data_location(run: Run, data: TrainData) -> DataLocation:
    """Where the examples of a run are, from the shapes of its training data.

    By default on the device if they take at most a quarter of its memory, else in that of the
    machine by the same rule, else on disk if the source has random access.

    Raises:
      BadInput: if a run that needs all examples on the device asks for another place, or a source
        without random access is to be on disk.
    """
    location = (run.execution or Execution()).data_location
    reason = needs_device(run)
    if location is not None:
        owner, rule = f"run {run.name!r}: Execution", f"must be 'device' for a run with {reason}"
        require(reason is None or location == "device", owner, "data_location", rule, location)
        rule = (
            "must be 'device' or 'host' for a source without random access (DataSource.open_splits)"
        )
        valid = location != "disk" or run.data.has_random_access
        require(valid, owner, "data_location", rule, location)
        return location
    size = bytes_of([(stream.inputs, stream.labels) for stream in data.streams.values()])
    if reason is not None or size <= MEMORY_SHARE * device_memory():
        return "device"
    fits = size <= MEMORY_SHARE * host_memory()
    return "host" if fits or not run.data.has_random_access else "disk"


def needs_device(run: Run) -> str | None:
    """What of a run needs all examples on the device, or None."""
    if seed_axis(run) is not None:
        return "data of its own for each seed"
    if run.labels.teachers:
        return "teachers, which predict all examples"
    return None


def has_rows(tree: Any) -> bool:
    """Whether examples are read when they are needed."""
    return any(isinstance(leaf, Rows) for leaf in jax.tree.leaves(tree))
