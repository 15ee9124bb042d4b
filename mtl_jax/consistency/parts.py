"""What a method is put together of: the joints of its parts."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax

from mtl_jax.consistency.prediction import Guess
from mtl_jax.core.aux_inputs import Sizes

Target = Callable[[Guess], jax.Array]  # of a guess
Divergence = Callable[[jax.Array, jax.Array], jax.Array]  # of logits from targets


@runtime_checkable
class Align(Protocol):
    """Brings guesses to the classes that they should have on the whole."""

    def init(self, sizes: Sizes) -> Any:
        """State before the first step."""

    def update(self, guess: jax.Array, views: Any, state: Any) -> tuple:
        """Maps log-probabilities `[U, ..., C]` to aligned ones and the next state."""


@runtime_checkable
class Mask(Protocol):
    """Says how much each guess counts."""

    def init(self, sizes: Sizes) -> Any:
        """State before the first step."""

    def update(self, guess: Guess, views: Any, state: Any) -> tuple:
        """Maps a guess to weights `[U, ...]`, the next state and metrics."""


@runtime_checkable
class Term(Protocol):
    """A term of the whole batch."""

    name: str
    weight: float

    def init(self, sizes: Sizes) -> Any:
        """State before the first step."""

    def update(self, guess: Guess, logits: jax.Array, mask: jax.Array, state: Any) -> tuple:
        """Maps guesses to a scalar and the next state."""
