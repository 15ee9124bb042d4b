"""Minimum class confusion (MCC): reduces confusion between classes in target predictions."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require, require_number
from mtl_jax.domain_adaptation.cdan_losses import entropy_weights
from mtl_jax.domain_adaptation.domain_views import BOTH, TARGET
from mtl_jax.domain_adaptation.validation import require_logits


@dataclasses.dataclass(frozen=True)
class MCC(AuxiliaryLoss):
    """Minimum class confusion: `class_confusion` of the logits on the target.

    Attributes:
      temperature: the temperature T.
      weight: weight of the confusion.

    Raises:
      BadInput: if the temperature is not positive, or the weight is negative.

    Reference: Jin et al., Minimum Class Confusion for Versatile Domain Adaptation, ECCV 2020,
      Section 3 (https://arxiv.org/abs/1912.03699).
    """

    temperature: float = 2.5
    weight: float = 1.0

    target_types = MULTICLASS
    views = BOTH

    def __post_init__(self):
        require_number(self, temperature=(0.0, math.inf), weight=(0.0, math.inf))
        require(self.temperature > 0, self, "temperature", "must be above 0", self.temperature)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to the confusion `[]`, no state, and no metrics."""
        return AuxUpdate(
            class_confusion(views.outputs(TARGET), temperature=self.temperature), state, {}
        )


def class_confusion(
    logits: jax.Array, *, temperature: float = 2.5, offset: float = 0.0
) -> jax.Array:
    """Pairwise class confusion over a batch of the target.

    `1/C sum_{c != k} M_ck / sum_j M_jk` with `M = sum_i w_i p_i p_i'`, `p_i = softmax(z_i / T)` and
    w the `entropy_weights` of `z / T`, through which there is no gradient. Since probabilities sum
    to 1, this equals `1/C sum_k (sum_i w_i p_ik (1 - p_ik) / sum_i w_i p_ik)`, computed in O(N C).

    The loss is 0 if all predictions are certain and every class is predicted. A class that is never
    predicted adds 1/C, so small batches with many classes have weak gradients.

    Degenerate gradients: for a single example, the loss is always `(C - 1) / C`, with gradient 0.

    Args:
      logits: logits z, `[N, C]`.
      temperature: the temperature T, positive.
      offset: the offset of `entropy_weights`.

    Returns:
      The loss `[]`, from 0 to `(C - 1) / C`.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Jin et al., Minimum Class Confusion for Versatile Domain Adaptation, ECCV 2020,
      Section 3 (https://arxiv.org/abs/1912.03699).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> certain, uncertain = 100.0 * jnp.eye(2), jnp.zeros((2, 2))
      >>> [round(float(domain_adaptation.class_confusion(z)), 4) for z in (certain, uncertain)]
      [0.0, 0.5]
    """
    require_logits("class_confusion", logits, ndim=2)
    logits = logits / temperature
    probabilities = jax.nn.softmax(logits)
    weighted = entropy_weights(logits, offset=offset)[:, None] * probabilities
    totals = weighted.sum(0)
    # A class whose probabilities round to 0 gets the limit, 1, and no gradient.
    nonzero = totals != 0
    confusion = (weighted * (1.0 - probabilities)).sum(0)
    return jnp.where(nonzero, confusion / jnp.where(nonzero, totals, 1.0), 1.0).mean()
