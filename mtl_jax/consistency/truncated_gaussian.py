"""Soft weights: pseudo-labels count less the further their confidence is below the mean."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.parts import Mask, MaskUpdate
from mtl_jax.consistency.prediction import Prediction, PredictionKind
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.tree import ema_update
from mtl_jax.core.validation import require_choice, require_number


class Moments(NamedTuple):
    """Running moments of the confidence, initially 1/C and 1."""

    mean: jax.Array  # []
    variance: jax.Array  # []


@dataclasses.dataclass(frozen=True)
class TruncatedGaussian(Mask):
    """Weights `exp(-min(max q - mean, 0)^2 / (2 variance / sigmas^2))`.

    Mean and (unbiased) variance of the confidence over the batch are averaged with `momentum`
    before they are used.

    Attributes:
      momentum: decay of the running moments.
      sigmas: how many standard deviations one of the Gaussian is.
      prediction: which prediction is weighted.
      moments: prediction whose moments are tracked; the paper uses "raw", USB "aligned".

    Raises:
      BadInput: for a momentum outside [0, 1], sigmas out of range, or an unknown `of` or `moments`.

    Reference: Chen et al., SoftMatch, ICLR 2023, Section 3 (https://arxiv.org/abs/2301.10921).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> from mtl_jax.consistency.prediction import Prediction
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> log_probs = jnp.log(jnp.array([[0.9, 0.1], [0.6, 0.4]]))
      >>> gaussian = consistency.TruncatedGaussian(momentum=0.0)
      >>> state = gaussian.init(DatasetSizes(2, 2, 1))
      >>> weights, _, _ = gaussian.update(Prediction(log_probs, log_probs), views=None, state=state)
      >>> [round(w, 2) for w in weights.tolist()]
      [1.0, 0.37]
    """

    momentum: float = 0.999
    sigmas: float = 2.0
    prediction: PredictionKind = "aligned"
    moments: PredictionKind = "raw"

    def __post_init__(self):
        require_number(self, momentum=(0.0, 1.0), sigmas=(1e-6, 1e6))
        require_choice(self, prediction=("raw", "aligned"), moments=("raw", "aligned"))

    def init(self, sizes: DatasetSizes) -> Moments:
        """Returns the initial state."""
        return Moments(jnp.full((), 1.0 / sizes.num_classes, float), jnp.ones((), float))

    def update(self, prediction: Prediction, views: AuxInputs, state: Moments) -> MaskUpdate:
        """Maps a prediction to weights `[...]` in (0, 1], the next state and the mean."""
        tracked = prediction.confidence(self.moments).astype(state.mean.dtype)
        state = ema_update(state, Moments(tracked.mean(), variance(tracked)), self.momentum)
        confidence = prediction.confidence(self.prediction).astype(state.mean.dtype)
        deviation = jnp.minimum(confidence - state.mean, 0.0)
        weights = jnp.exp(-jnp.square(deviation) * self.sigmas**2 / (2.0 * state.variance))
        return MaskUpdate(weights, state, {"threshold": state.mean})


def variance(values: jax.Array) -> jax.Array:
    """Unbiased variance `[]` of all values; 0 for a single value."""
    return jnp.square(values - values.mean()).sum() / max(1, values.size - 1)
