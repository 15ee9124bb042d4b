"""Which of a teacher's labels count: those that were chosen for the balance of classes."""

import dataclasses
from typing import Any

from mtl_jax.consistency.match import EVERYTHING
from mtl_jax.consistency.parts import Mask
from mtl_jax.consistency.prediction import Guess
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.views import Stored, name_of

STORED = Stored()


@dataclasses.dataclass(frozen=True)
class Chosen:
    """Another mask, times the weights of a `Stored` view.

    Attributes:
      view: whose weights.
      mask: the other mask.
    """

    view: Stored = STORED
    mask: Mask = EVERYTHING

    def init(self, sizes: Sizes) -> Any:
        """State before the first step: that of the mask."""
        return self.mask.init(sizes)

    def update(self, guess: Guess, views: Views, state: Any) -> tuple:
        """Maps a guess to weights `[U, ...]`, the mask's next state and metrics."""
        weights, state, metrics = self.mask.update(guess, views, state)
        chosen = views.drawn[name_of(self.view)].astype(guess.plain.dtype)
        chosen = chosen.reshape(-1, *(1,) * (weights.ndim - 1))
        return weights.astype(guess.plain.dtype) * chosen, state, metrics
