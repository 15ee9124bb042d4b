"""Masks: which pseudo-labels count, by their confidence."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.consistency.parts import Mask, MaskUpdate
from mtl_jax.consistency.prediction import Prediction, PredictionKind
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.validation import require_choice, require_number


@dataclasses.dataclass(frozen=True)
class NoMask(Mask):
    """Every pseudo-label counts.

    Example:
      >>> from mtl_jax import consistency
      >>> consistency.Match().mask
      NoMask()
    """

    def update(self, prediction: Prediction, views: AuxInputs, state: tuple[()]) -> MaskUpdate:
        """Returns ones `[...]`, no state and no metrics."""
        return MaskUpdate(jnp.ones(prediction.raw.shape[:-1], bool), state, {})


@dataclasses.dataclass(frozen=True)
class ConfidenceThreshold(Mask):
    """A pseudo-label counts if its largest probability reaches a fixed threshold.

    Attributes:
      threshold: smallest confidence that counts.
      prediction: which prediction is used, "raw" or "aligned".

    Raises:
      BadInput: for a threshold outside [0, 1], or an unknown `of`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> from mtl_jax.consistency.prediction import Prediction
      >>> log_probs = jnp.log(jnp.array([[0.9, 0.1], [0.6, 0.4]]))
      >>> prediction = Prediction(log_probs, log_probs)
      >>> mask, _, _ = consistency.ConfidenceThreshold(0.8).update(prediction, views=None, state=())
      >>> mask.tolist()
      [True, False]
    """

    threshold: float = 0.95
    prediction: PredictionKind = "aligned"

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0))
        require_choice(self, prediction=("raw", "aligned"))

    def update(self, prediction: Prediction, views: AuxInputs, state: tuple[()]) -> MaskUpdate:
        """Maps a prediction to the mask `[...]`, no state and no metrics."""
        return MaskUpdate(prediction.confidence(self.prediction) >= self.threshold, state, {})


@dataclasses.dataclass(frozen=True)
class RelativeThreshold(Mask):
    """A pseudo-label counts if it is nearly as confident as the labelled batch is on average.

    `1[max q >= share * mean_i max softmax(labelled_i)]`; all labelled images count in the mean,
    whether or not they have the task's label. No gradient with respect to the labelled view.

    Attributes:
      threshold: fraction of the labelled images' mean confidence.
      prediction: which prediction is used, "raw" or "aligned".

    Raises:
      BadInput: for a fraction outside [0, 1], or an unknown `of`.

    Reference: Berthelot et al., AdaMatch, ICLR 2022, Section 3.3
      (https://arxiv.org/abs/2106.04732).

    Example:
      >>> from mtl_jax import consistency
      >>> align = consistency.DistributionAlignment("labelled")
      >>> consistency.Match(align=align, mask=consistency.RelativeThreshold(0.8)).mask
      RelativeThreshold(threshold=0.8, prediction='aligned')
    """

    threshold: float = 0.9
    prediction: PredictionKind = "aligned"

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0))
        require_choice(self, prediction=("raw", "aligned"))

    def update(self, prediction: Prediction, views: AuxInputs, state: tuple[()]) -> MaskUpdate:
        """Maps a prediction to the mask `[...]`, no state and the threshold."""
        labelled = jax.lax.stop_gradient(views.outputs("labelled"))
        threshold = self.threshold * jax.nn.softmax(labelled).max(-1).mean()
        return MaskUpdate(
            prediction.confidence(self.prediction) >= threshold, state, {"threshold": threshold}
        )
