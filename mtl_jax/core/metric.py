"""Base class of metrics."""

import abc
from typing import Any

import jax

from mtl_jax.core.target_types import ALL_TYPES, TargetType

Tree = Any


class Metric(abc.ABC):
    """Evaluates predictions by sums that accumulate over batches, masks and devices.

    Attributes:
      name: name of the table column.
      higher_is_better: whether higher values are better.
      scale: factor of the values in tables.
      unit_free: whether values of different tasks may be averaged.
      target_types: supported target types.
      accepts_missing_entries: whether a vector of labels may have NaN in some entries; if not,
        only complete vectors count.
    """

    name: str
    higher_is_better: bool
    scale: float
    unit_free: bool = False
    target_types: tuple[TargetType, ...] = ALL_TYPES
    accepts_missing_entries: bool = False

    @abc.abstractmethod
    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Tree:
        """Maps logits `[B, C]` and labels `[B]` to sums over the examples in `mask`."""

    @abc.abstractmethod
    def compute(self, sums: Tree) -> jax.Array:
        """Maps accumulated sums to the value."""
