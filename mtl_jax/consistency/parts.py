"""Base classes of the parts of `Match`: alignment, mask, and terms over the batch."""

import abc
from collections.abc import Callable
from typing import Any

import jax

from mtl_jax.consistency.prediction import Prediction
from mtl_jax.core.aux_inputs import DatasetSizes

Target = Callable[[Prediction], jax.Array]  # Prediction to targets.
Divergence = Callable[[jax.Array, jax.Array], jax.Array]  # Logits and targets to a loss.


class Align(abc.ABC):
    """Distribution alignment: adapts predictions to an expected class distribution."""

    def init(self, sizes: DatasetSizes) -> Any:
        """Returns the initial state."""
        return ()

    @abc.abstractmethod
    def update(self, guess: jax.Array, views: Any, state: Any) -> tuple:
        """Maps log-probabilities `[U, ..., C]` to aligned ones and the next state."""


class Mask(abc.ABC):
    """Weight of each pseudo-label."""

    def init(self, sizes: DatasetSizes) -> Any:
        """Returns the initial state."""
        return ()

    @abc.abstractmethod
    def update(self, guess: Prediction, views: Any, state: Any) -> tuple:
        """Maps a prediction to weights `[U, ...]`, the next state and metrics."""


class Term(abc.ABC):
    """A loss term over the whole batch.

    Attributes:
      name: of its metric.
      weight: of the term.
    """

    name: str
    weight: float

    def init(self, sizes: DatasetSizes) -> Any:
        """Returns the initial state."""
        return ()

    @abc.abstractmethod
    def update(self, guess: Prediction, logits: jax.Array, mask: jax.Array, state: Any) -> tuple:
        """Maps predictions to a scalar and the next state."""
