"""Probabilistic knowledge transfer (PKT): matches pairwise similarity probabilities of a batch."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import ALL_TYPES
from mtl_jax.core.tree import promote_float32, unit
from mtl_jax.core.views import View
from mtl_jax.transfer.similarity_preserving import require_batch
from mtl_jax.transfer.source_views import (
    ImageView,
    require_weight_and_view,
    student_and_source,
    views_of,
)

# Keeps the logarithm finite where two examples are opposite.
FLOOR = 1e-7

# Features are the inputs of the task's head. Labels are not used, so missing labels do not matter.


@dataclasses.dataclass(frozen=True)
class PKT(AuxiliaryLoss):
    """Probabilistic knowledge transfer: matches pairwise similarity probabilities to the source's.

    `1/n pkt(f, f0)` for n images, at least 2, a single value for the batch: the factor 1/n makes it
    a mean over pairs, as in the authors' code, to which the published weight applies. The run
    requires a source model (`init_from`). No gradient with respect to the source.

    Attributes:
      weight: weight of the loss.
      view: the images to use; "weak" are the unlabelled ones.

    Raises:
      BadInput: if a setting is out of range.

    Reference: Passalis and Tefas, Learning Deep Representations with Probabilistic Knowledge
      Transfer, ECCV 2018, the section on the method, cosine kernel
      (https://arxiv.org/abs/1803.10837); the default weight is RepDistiller's
      (https://github.com/HobbitLong/RepDistiller).
    """

    weight: float = 3e4
    view: ImageView = "labelled"

    target_types = ALL_TYPES
    per_position = False

    def __post_init__(self):
        require_weight_and_view(self)

    @property
    def views(self) -> tuple[View, ...]:
        """Views that the loss requires."""
        return views_of(self.view)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to one loss for the batch `[1]`, no state, and no metrics."""
        features, source = student_and_source(views.features, self.view)
        return AuxUpdate(pkt(features, source)[None] / len(features), state, {})


def pkt(features: jax.Array, teacher: jax.Array) -> jax.Array:
    """Probabilistic knowledge transfer, `mean_i sum_{j != i} p_ij log((p_ij + e) / (q_ij + e))`.

    `q_ij` is `(cos(f_i, f_j) + 1) / 2` normalized to sum 1 over j, the conditional probability of j
    given i; `p_ij` is the same for the teacher; e = 1e-7. Invariant to norms and rotations of the
    features. No gradient with respect to `teacher`. The authors' code includes j = i, and averages
    over all B^2 pairs; RepDistiller's weight of 30000 applies to that form and is about B times the
    weight needed here.

    Degenerate gradients: an example of zeros has cosine 0 with all others and no gradient.

    Args:
      features: floats `[B, ...]`, flattened by example, B at least 2.
      teacher: `[B, ...]`.

    Returns:
      A scalar `[]`, exactly 0 for equal features.

    Raises:
      ValueError: if the batch sizes differ or are below 2 (when traced).

    Reference: Passalis and Tefas, Learning Deep Representations with Probabilistic Knowledge
      Transfer, ECCV 2018, the section on the method, cosine kernel
      (https://arxiv.org/abs/1803.10837).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> features, teacher = jnp.eye(3), jnp.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
      >>> round(float(jax.jit(transfer.pkt)(features, teacher)), 3)
      0.462
    """
    require_batch("pkt", features, teacher)
    q = conditional_probabilities(features)
    p = jax.lax.stop_gradient(conditional_probabilities(teacher)).astype(q.dtype)
    terms = p * jnp.log((p + FLOOR) / (q + FLOOR))
    return (terms.sum() / len(features)).astype(features.dtype)


def conditional_probabilities(features: jax.Array) -> jax.Array:
    """Conditional probabilities `[B, B]` of each row's other examples, 0 on the diagonal."""
    flat = unit(promote_float32(features).reshape(len(features), -1))
    similarities = (jnp.matmul(flat, flat.T, precision="highest") + 1.0) / 2.0
    # A cosine may be below -1 by rounding.
    similarities = jnp.maximum(similarities, 0.0)
    similarities = jnp.where(jnp.eye(len(flat), dtype=bool), 0.0, similarities)
    return similarities / jnp.maximum(similarities.sum(1, keepdims=True), FLOOR)
