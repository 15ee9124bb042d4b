"""Numbers of steps in epochs, for runs and schedules that count steps."""

import math

from mtl_jax.core.data_source import DataSource
from mtl_jax.core.validation import require


def steps_per_epoch(source: DataSource, batch_size: int, num_labelled: int | None = None) -> int:
    """Number of steps after which every labelled example was drawn once, `ceil(N / B)`.

    The last batch goes on with the next epoch if B does not divide N (see `batch_index`). The data
    are not read.

    Args:
      source: the data of a run.
      batch_size: its batch size B.
      num_labelled: number N of its labelled examples; None is all.

    Returns:
      The number of steps.

    Raises:
      BadInput: for a number below 1, or more examples than there are.

    Example:
      >>> from mtl_jax import data
      >>> 30 * data.steps_per_epoch(data.Digits(), batch_size=64)  # 30 epochs of 1078 examples.
      510
    """
    available = source.num_labelled()
    count = available if num_labelled is None else num_labelled
    for field, value in (("batch_size", batch_size), ("num_labelled", count)):
        valid = isinstance(value, int) and value >= 1
        require(valid, "steps_per_epoch", field, "must be an integer of at least 1", value)
    rule = f"must be at most {available}, the labelled examples of the source"
    require(count <= available, "steps_per_epoch", "num_labelled", rule, count)
    return math.ceil(count / batch_size)
