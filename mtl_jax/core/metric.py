"""Base class of metrics."""

import abc

import jax

from mtl_jax.core.default_property import default_property
from mtl_jax.core.target_types import ALL_TYPES, TargetType
from mtl_jax.core.tree import Tree


class Metric(abc.ABC):
    """Evaluates predictions by sums that accumulate over batches, masks and devices.

    The properties may be defined as class attributes.
    """

    @default_property
    def name(self) -> str:
        """Name of the table column."""
        raise NotImplementedError(f"{type(self).__name__} defines no name")

    @default_property
    def higher_is_better(self) -> bool:
        """Whether higher values are better."""
        raise NotImplementedError(f"{type(self).__name__} defines no higher_is_better")

    @default_property
    def scale(self) -> float:
        """Factor of the values in tables."""
        raise NotImplementedError(f"{type(self).__name__} defines no scale")

    @default_property
    def unit_free(self) -> bool:
        """Whether values of different tasks may be averaged; False by default."""
        return False

    @default_property
    def target_types(self) -> tuple[TargetType, ...]:
        """Supported target types, all by default."""
        return ALL_TYPES

    @default_property
    def accepts_missing_entries(self) -> bool:
        """Whether a vector of labels may have NaN in some entries; False by default.

        If not, only complete vectors count.
        """
        return False

    @abc.abstractmethod
    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Tree:
        """Maps logits `[B, C]` and labels `[B]` to sums over the examples in `mask`."""

    @abc.abstractmethod
    def compute(self, sums: Tree) -> jax.Array:
        """Maps accumulated sums to the value."""
