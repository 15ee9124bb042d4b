"""Base classes of metrics: by sums in the step, or on the host from all predictions."""

import abc
from typing import Any

import jax
import numpy as np

from mtl_jax.core.default_property import default_property
from mtl_jax.core.target_types import ALL_TYPES, TargetType
from mtl_jax.core.tree import Tree


class MetricTraits:
    """What tables and selection need of a metric; properties may be class attributes."""

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


class Metric(MetricTraits, abc.ABC):
    """Evaluates predictions by sums that accumulate over batches, masks and devices."""

    @abc.abstractmethod
    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Tree:
        """Maps logits `[B, C]` and labels `[B]` to sums over the examples in `mask`."""

    @abc.abstractmethod
    def compute(self, sums: Tree) -> jax.Array:
        """Maps accumulated sums to the value."""


class HostMetric(MetricTraits, abc.ABC):
    """Evaluates all predictions of a split at once, on the host, where no sums are sufficient."""

    @abc.abstractmethod
    def compute(self, outputs: Any, labels: np.ndarray) -> float:
        """Maps outputs `[N, ..., C]`, or a dict of arrays, and labels `[N, ...]` to the value.

        Only examples with a label are given; NaN if there are none.
        """
