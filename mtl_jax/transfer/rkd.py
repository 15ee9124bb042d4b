"""Relational knowledge distillation (RKD): distances and angles among the examples of a batch."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import ALL_TYPES
from mtl_jax.core.tree import promote_float32
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import View
from mtl_jax.transfer.source_views import (
    ImageView,
    require_weight_and_view,
    student_and_source,
    views_of,
)

# Features are the inputs of the task's head. Labels are not used, so missing labels do not matter.


@dataclasses.dataclass(frozen=True)
class RKD(AuxiliaryLoss):
    """Relational knowledge distillation: matches distances and angles of examples to the source's.

    `distance * rkd_distance(f, f0) + angle * rkd_angle(f, f0)`, a single value for the batch, of at
    least 3 images. The run requires a source model (`init_from`). No gradient with respect to the
    source.

    Attributes:
      weight: weight of the sum.
      distance: weight of the distance loss.
      angle: weight of the angle loss.
      view: the images to use; "weak" are the unlabelled ones.

    Raises:
      BadInput: if a setting is out of range.

    Reference: Park et al., Relational Knowledge Distillation, CVPR 2019, the sections on the
      distance-wise and the angle-wise loss (https://arxiv.org/abs/1904.05068); the default
      weights are RepDistiller's (https://github.com/HobbitLong/RepDistiller).
    """

    weight: float = 1.0
    distance: float = 25.0
    angle: float = 50.0
    view: ImageView = "labelled"

    target_types = ALL_TYPES
    per_position = False

    def __post_init__(self):
        require_weight_and_view(self)
        require_number(self, distance=(0.0, math.inf), angle=(0.0, math.inf))

    @property
    def views(self) -> tuple[View, ...]:
        """Views that the loss requires."""
        return views_of(self.view)

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to one loss for the batch `[1]`, no state, and both parts as metrics."""
        features, source = student_and_source(views.features, self.view)
        distance, angle = rkd_distance(features, source), rkd_angle(features, source)
        loss = self.distance * distance + self.angle * angle
        return AuxUpdate(loss[None], state, {"distance": distance, "angle": angle})


def rkd_distance(features: jax.Array, teacher: jax.Array) -> jax.Array:
    """Matches pairwise distances to the teacher's, `mean_{i != j} huber(d_ij / m - d'_ij / m')`.

    `d_ij = ||f_i - f_j||`, m its mean over pairs of different examples; huber(x) is x^2 / 2 for |x|
    < 1, and |x| - 1/2 otherwise. Invariant to shifts, rotations and scales of either side. No
    gradient with respect to `teacher`. RepDistiller uses a weight of 25; it averages over all B^2
    pairs, including those of an example with itself: (B - 1) / B of this value.

    Degenerate gradients: examples that coincide (up to rounding) have distance 0 and no gradient
    between them.

    Args:
      features: floats `[B, D]`, B at least 2.
      teacher: `[B, E]`.

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if shapes do not match (when traced).

    Reference: Park et al., Relational Knowledge Distillation, CVPR 2019, the section on the
      distance-wise loss, which is a sum in the paper (https://arxiv.org/abs/1904.05068).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> features, teacher = jnp.array([[0.0], [1.0], [2.0]]), jnp.array([[0.0], [1.0], [4.0]])
      >>> round(float(jax.jit(transfer.rkd_distance)(features, teacher)), 3)
      0.047
    """
    require_pairs("rkd_distance", features, teacher, 2)
    distances = relative_distances(features)
    target = jax.lax.stop_gradient(relative_distances(teacher)).astype(distances.dtype)
    count = len(features) * (len(features) - 1)
    return (huber(distances - target).sum() / count).astype(features.dtype)


def rkd_angle(features: jax.Array, teacher: jax.Array) -> jax.Array:
    """Matches angles of triplets to the teacher's, `mean_{i, j, k differ} huber(c_ijk - c'_ijk)`.

    `c_ijk = <e_ij, e_ik>`, `e_ij = (f_j - f_i) / ||f_j - f_i||`: the cosine at example i. huber is
    that of `rkd_distance`. Invariant to shifts, rotations and scales of either side. No gradient
    with respect to `teacher`. RepDistiller uses a weight of 50; it averages over all B^3 triplets:
    (B - 1) (B - 2) / B^2 of this value. Memory grows as B^3 + B^2 D.

    Degenerate gradients: examples that coincide (up to rounding) have cosine 0 and no gradient.

    Args:
      features: floats `[B, D]`, B at least 3.
      teacher: `[B, E]`.

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if shapes do not match (when traced).

    Reference: Park et al., Relational Knowledge Distillation, CVPR 2019, the section on the
      angle-wise loss, which is a sum in the paper (https://arxiv.org/abs/1904.05068).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> line, corner = jnp.array([[0.0], [1.0], [2.0]]), jnp.eye(3)[:, :2]
      >>> round(float(jax.jit(transfer.rkd_angle)(line, corner)), 3)
      0.583
    """
    require_pairs("rkd_angle", features, teacher, 3)
    angles = cosines(features)
    target = jax.lax.stop_gradient(cosines(teacher)).astype(angles.dtype)
    size = len(features)
    # With j = k both cosines are 1, unless one side's examples coincide.
    distinct = ~jnp.eye(size, dtype=bool)[None]
    terms = jnp.where(distinct, huber(angles - target), 0.0)
    return (terms.sum() / (size * (size - 1) * (size - 2))).astype(features.dtype)


def relative_distances(features: jax.Array) -> jax.Array:
    """Distances over their mean, `[B, B]`, zeros on the diagonal; 0 if all examples coincide."""
    _, distances = directions_and_distances(features)
    mean = distances.sum() / (len(features) * (len(features) - 1))
    return distances / jnp.where(mean == 0, 1.0, mean)


def cosines(features: jax.Array) -> jax.Array:
    """Cosines `[B, B, B]` at the first example of the directions to the other two."""
    directions, _ = directions_and_distances(features)
    return jnp.einsum("ijd,ikd->ijk", directions, directions, precision="highest")


def directions_and_distances(features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Unit directions `[B, B, D]` and distances `[B, B]`; 0 where examples coincide."""
    # Angles and relative distances do not depend on the scale, but squares may overflow.
    features = promote_float32(features)
    scale = jax.lax.stop_gradient(jnp.abs(features).max())
    features = features / jnp.where(scale == 0, 1.0, scale)
    # Differences instead of a Gram matrix, which cancels for nearby examples.
    differences = features[None] - features[:, None]
    squares = jnp.square(differences).sum(-1)
    # When compiled, equal examples differ by rounding (fused products), which has a direction.
    coincide = squares <= (4.0 * jnp.finfo(squares.dtype).eps) ** 2 * features.shape[1]
    norms = jnp.sqrt(jnp.where(coincide, 1.0, squares))
    directions = jnp.where(coincide[..., None], 0.0, differences / norms[..., None])
    return directions, jnp.where(coincide, 0, norms)


def huber(errors: jax.Array) -> jax.Array:
    """Huber function: `x^2 / 2` for |x| below 1, `|x| - 1/2` otherwise."""
    absolute = jnp.abs(errors)
    return jnp.where(absolute < 1.0, 0.5 * jnp.square(errors), absolute - 0.5)


def require_pairs(name: str, features: jax.Array, teacher: jax.Array, min_examples: int) -> None:
    """Requires features of the same examples, and at least `min_examples` of them."""
    valid = features.ndim == teacher.ndim == 2 and len(features) == len(teacher)
    if not valid or len(features) < min_examples:
        raise ValueError(
            f"{name} needs features [B, D] and [B, E] with B at least {min_examples}, "
            f"not {features.shape} and {teacher.shape}"
        )
