"""Base classes of the parts of `Match`: alignment, mask, and terms over the batch."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import jax

from mtl_jax.consistency.prediction import Prediction
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.default_property import default_property
from mtl_jax.core.tree import Tree

Target = Callable[[Prediction], jax.Array]  # Prediction to targets.
Divergence = Callable[[jax.Array, jax.Array], jax.Array]  # Logits and targets to a loss.


class Align(abc.ABC):
    """Distribution alignment: adapts predictions to an expected class distribution."""

    def init(self, sizes: DatasetSizes) -> Tree:
        """Returns the initial state."""
        return ()

    @abc.abstractmethod
    def update(self, log_probs: jax.Array, views: AuxInputs, state: Tree) -> tuple[jax.Array, Tree]:
        """Maps log-probabilities `[U, ..., C]` to aligned ones and the next state."""


class MaskUpdate(NamedTuple):
    """Result of a mask's update."""

    weights: jax.Array  # [U, ...], bool or float
    state: Tree
    metrics: dict[str, jax.Array]  # [] each, for the log


class Mask(abc.ABC):
    """Weight of each pseudo-label."""

    def init(self, sizes: DatasetSizes) -> Tree:
        """Returns the initial state."""
        return ()

    @abc.abstractmethod
    def update(self, prediction: Prediction, views: AuxInputs, state: Tree) -> MaskUpdate:
        """Maps a prediction to weights `[U, ...]`, the next state and metrics."""


class Term(abc.ABC):
    """A loss term over the whole batch.

    The properties below may be defined as fields or class attributes.
    """

    @default_property
    def name(self) -> str:
        """Name of its metric, by default that of the class."""
        return type(self).__name__

    @default_property
    def weight(self) -> float:
        """Weight of the term, 1 by default."""
        return 1.0

    def init(self, sizes: DatasetSizes) -> Tree:
        """Returns the initial state."""
        return ()

    @abc.abstractmethod
    def update(
        self, prediction: Prediction, logits: jax.Array, mask: jax.Array, state: Tree
    ) -> tuple[jax.Array, Tree]:
        """Maps predictions to a scalar and the next state."""
