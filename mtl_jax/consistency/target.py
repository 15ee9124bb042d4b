"""Targets made of predictions: the most probable class, or sharpened probabilities."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.consistency.prediction import Prediction, PredictionKind
from mtl_jax.core.validation import require_choice, require_number


@dataclasses.dataclass(frozen=True)
class HardLabels:
    """The most probable class, as a one-hot vector.

    Attributes:
      prediction: which prediction is used, "raw" or "aligned".

    Raises:
      BadInput: for an unknown `of`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> from mtl_jax.consistency.prediction import Prediction
      >>> log_probs = jnp.log(jnp.array([[0.7, 0.3]]))
      >>> consistency.HardLabels()(Prediction(log_probs, log_probs)).tolist()
      [[1.0, 0.0]]
    """

    prediction: PredictionKind = "aligned"

    def __post_init__(self):
        require_choice(self, prediction=("raw", "aligned"))

    def __call__(self, prediction: Prediction) -> jax.Array:
        """Maps a prediction to targets `[..., C]`."""
        log_probs = prediction.log_probs(self.prediction)
        return jax.nn.one_hot(log_probs.argmax(-1), log_probs.shape[-1], dtype=log_probs.dtype)


@dataclasses.dataclass(frozen=True)
class SharpenedLabels:
    """Sharpened probabilities, `q_c^(1/T) / sum_j q_j^(1/T)`.

    Attributes:
      temperature: T; 1 leaves the prediction unchanged, below 1 it becomes more confident.
      prediction: which prediction is used, "raw" or "aligned".

    Raises:
      BadInput: for a temperature that is not above 0, or an unknown `of`.

    Reference: Berthelot et al., MixMatch, NeurIPS 2019, Eq. 7
      (https://arxiv.org/abs/1905.02249).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> from mtl_jax.consistency.prediction import Prediction
      >>> log_probs = jnp.log(jnp.array([0.7, 0.3]))
      >>> targets = consistency.SharpenedLabels(temperature=0.5)(Prediction(log_probs, log_probs))
      >>> [round(q, 2) for q in targets.tolist()]
      [0.84, 0.16]
    """

    temperature: float = 1.0
    prediction: PredictionKind = "aligned"

    def __post_init__(self):
        require_number(self, temperature=(1e-6, math.inf))
        require_choice(self, prediction=("raw", "aligned"))

    def __call__(self, prediction: Prediction) -> jax.Array:
        """Maps a prediction to targets `[..., C]`."""
        # Of log-probabilities: a softmax of probabilities would flatten them.
        return jax.nn.softmax(
            prediction.log_probs(self.prediction)
            / jnp.asarray(self.temperature, prediction.raw.dtype)
        )
