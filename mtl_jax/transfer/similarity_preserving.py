"""Similarity-preserving distillation: matches pairwise similarities of a batch to a teacher's."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import ALL_TYPES
from mtl_jax.core.tree import promote_float32, unit
from mtl_jax.core.views import View
from mtl_jax.transfer.source_views import (
    ImageView,
    require_weight_and_view,
    student_and_source,
    views_of,
)

# Features are the inputs of the task's head. Labels are not used, so missing labels do not matter.


@dataclasses.dataclass(frozen=True)
class SimilarityPreserving(AuxiliaryLoss):
    """Similarity-preserving distillation: matches pairwise similarities to the source's.

    `similarity_preserving(f, f0)`, a single value for the batch, of at least 2 images. The run
    requires a source model (`init_from`). No gradient with respect to the source.

    Attributes:
      weight: weight of the loss.
      view: the images to use; "weak" are the unlabelled ones.

    Raises:
      BadInput: if a setting is out of range.

    Reference: Tung and Mori, Similarity-Preserving Knowledge Distillation, ICCV 2019, the section
      on the method (https://arxiv.org/abs/1907.09682), which uses a layer's map; the default weight
      is RepDistiller's (https://github.com/HobbitLong/RepDistiller).
    """

    weight: float = 3000.0
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
        return AuxUpdate(similarity_preserving(features, source)[None], state, {})


def similarity_preserving(features: jax.Array, teacher: jax.Array) -> jax.Array:
    """Matches the similarity matrix of a batch to the teacher's, `1/B^2 ||G - G_t||_F^2`.

    `G` contains the inner products `F F^T` of the B examples, each row scaled to norm 1. Invariant
    to scales and rotations of the features. No gradient with respect to `teacher`. RepDistiller
    uses a weight of 3000.

    Degenerate gradients: an example of zeros has a row of zeros and no gradient.

    Args:
      features: floats `[B, ...]`, flattened by example, B at least 2.
      teacher: `[B, ...]`.

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if the batch sizes differ or are below 2 (when traced).

    Reference: Tung and Mori, Similarity-Preserving Knowledge Distillation, ICCV 2019, the section
      on the method (https://arxiv.org/abs/1907.09682).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> features, teacher = jnp.eye(2), jnp.ones((2, 3))
      >>> round(float(transfer.similarity_preserving(features, teacher)), 3)
      0.293
    """
    require_batch("similarity_preserving", features, teacher)
    student = similarities(features)
    target = jax.lax.stop_gradient(similarities(teacher)).astype(student.dtype)
    return (jnp.square(student - target).sum() / len(features) ** 2).astype(features.dtype)


def similarities(features: jax.Array) -> jax.Array:
    """Inner products `[B, B]` of examples, each row scaled to norm 1."""
    flat = promote_float32(features).reshape(len(features), -1)
    # Rows have norm 1 for any scale, whose squares might overflow.
    scale = jax.lax.stop_gradient(jnp.abs(flat).max())
    flat = flat / jnp.where(scale == 0, 1.0, scale)
    return unit(jnp.matmul(flat, flat.T, precision="highest"))


def require_batch(name: str, features: jax.Array, teacher: jax.Array) -> None:
    """Requires features of the same examples, at least 2."""
    if min(features.ndim, teacher.ndim) < 2 or not len(teacher) == len(features) >= 2:
        raise ValueError(
            f"{name} needs features [B, ...] of the same examples, B at least 2, "
            f"not {features.shape} and {teacher.shape}"
        )
