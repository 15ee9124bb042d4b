"""Correlation alignment (CORAL): matches covariances, and optionally means, of two batches."""

import dataclasses
import math
from typing import Literal

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import ALL_TYPES
from mtl_jax.core.validation import require_choice, require_number
from mtl_jax.domain_adaptation.domain_views import BOTH, SOURCE, TARGET
from mtl_jax.domain_adaptation.validation import require_features


@dataclasses.dataclass(frozen=True)
class CORAL(AuxiliaryLoss):
    """Correlation alignment of the features of both domains.

    Gradients with respect to both batches.

    Attributes:
      variant: "covariances" as in the paper (`coral`), or "means" to include means, as in TLLib
        (`coral_with_means`).
      weight: weight of the distance; the paper chooses it so that both losses are about equal at
        the end.

    Raises:
      BadInput: if the variant is unknown, or the weight is negative.

    Reference: Sun and Saenko, Deep CORAL, ECCV 2016 Workshops, Section 3.1
      (https://arxiv.org/abs/1607.01719).
    """

    variant: Literal["covariances", "means"] = "covariances"
    weight: float = 1.0

    target_types = ALL_TYPES
    per_position = False
    views = BOTH

    def __post_init__(self):
        require_choice(self, variant=("covariances", "means"))
        require_number(self, weight=(0.0, math.inf))

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to the distance `[]`, no state, and no metrics."""
        distance = coral if self.variant == "covariances" else coral_with_means
        return AuxUpdate(distance(views.features[SOURCE], views.features[TARGET]), state, {})


def coral(source: jax.Array, target: jax.Array) -> jax.Array:
    """Distance of two covariances, `|C_s - C_t|_F^2 / (4 D^2)`.

    `C = sum_i (f_i - m)(f_i - m)' / (N - 1)`. Means are not compared: the loss is invariant to
    shifts. Gradients with respect to both.

    Degenerate gradients: a batch of equal examples has covariance 0 and gradient 0.

    Args:
      source: features `[B, D]`, at least two examples.
      target: features `[U, D]`, at least two examples.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: Sun and Saenko, Deep CORAL: Correlation Alignment for Deep Domain Adaptation,
      ECCV Workshops 2016, Section 3.1, Eq. 1 (https://arxiv.org/abs/1607.01719).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> source = jnp.array([[1.0, 0.0], [-1.0, 0.0]])  # mean (0, 0), covariance diag(2, 0)
      >>> target = jnp.array([[3.0, 1.0], [3.0, 3.0]])  # mean (3, 2), covariance diag(0, 2)
      >>> float(domain_adaptation.coral(source, target))
      0.5
    """
    require_features("coral", source, target, min_examples=2)
    return jnp.square(covariance(source) - covariance(target)).mean() / 4.0


def coral_with_means(source: jax.Array, target: jax.Array) -> jax.Array:
    """Distance of means and covariances, `1/D |m_s - m_t|^2 + 1/D^2 |C_s - C_t|_F^2`.

    The covariance term is four times `coral`. Gradients with respect to both.

    Args:
      source: features `[B, D]`, at least two examples.
      target: features `[U, D]`, at least two examples.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if shapes or dtypes do not match (when traced).

    Reference: see `coral`; this form is TLLib's `CorrelationAlignmentLoss`
      (https://github.com/thuml/Transfer-Learning-Library).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> source = jnp.array([[1.0, 0.0], [-1.0, 0.0]])  # mean (0, 0), covariance diag(2, 0)
      >>> target = jnp.array([[3.0, 1.0], [3.0, 3.0]])  # mean (3, 2), covariance diag(0, 2)
      >>> float(domain_adaptation.coral_with_means(source, target))
      8.5
    """
    require_features("coral_with_means", source, target, min_examples=2)
    means = jnp.square(source.mean(0) - target.mean(0)).mean()
    return means + jnp.square(covariance(source) - covariance(target)).mean()


def covariance(features: jax.Array) -> jax.Array:
    """Unbiased covariance `[D, D]` of a batch `[N, D]`."""
    centered = features - features.mean(0)[None]
    return jnp.matmul(centered.T, centered, precision="highest") / (len(features) - 1)
