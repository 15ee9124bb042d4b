"""Which guesses count: all, the confident ones, or those as confident as on labelled images."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.consistency.prediction import Guess, Of
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.validation import require_choice, require_number


@dataclasses.dataclass(frozen=True)
class Everything:
    """Every guess counts."""

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, guess: Guess, views: Views, state: tuple[()]) -> tuple:
        """Returns ones `[...]`, no state and no metrics."""
        return jnp.ones(guess.plain.shape[:-1], bool), state, {}


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A guess counts if its largest probability reaches a fixed threshold.

    Attributes:
      threshold: at or above which it counts.
      of: whether the plain or the aligned guess is looked at.

    Raises:
      BadInput: for a threshold outside [0, 1], or another guess.
    """

    threshold: float = 0.95
    of: Of = "aligned"

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0))
        require_choice(self, of=("plain", "aligned"))

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, guess: Guess, views: Views, state: tuple[()]) -> tuple:
        """Maps a guess to the mask `[...]`, no state and no metrics."""
        return guess.confidence(self.of) >= self.threshold, state, {}


@dataclasses.dataclass(frozen=True)
class Relative:
    """A guess counts if it is nearly as sure as the model is on the labelled batch.

    `1[max q >= share * mean_i max softmax(labelled_i)]`; all labelled images count in the mean,
    whether the task's label is there or not. No gradient flows into the labelled view.

    Attributes:
      share: of the labelled images' mean confidence.
      of: whether the plain or the aligned guess is looked at.

    Raises:
      BadInput: for a share outside [0, 1], or another guess.

    Reference: Berthelot et al., AdaMatch, ICLR 2022, Section 3.3
      (https://arxiv.org/abs/2106.04732).
    """

    share: float = 0.9
    of: Of = "aligned"

    def __post_init__(self):
        require_number(self, share=(0.0, 1.0))
        require_choice(self, of=("plain", "aligned"))

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, guess: Guess, views: Views, state: tuple[()]) -> tuple:
        """Maps a guess to the mask `[...]`, no state, and the threshold."""
        labelled = jax.lax.stop_gradient(views.of("labelled"))
        threshold = self.share * jax.nn.softmax(labelled).max(-1).mean()
        return guess.confidence(self.of) >= threshold, state, {"threshold": threshold}
