"""Distillation of relations: distances and angles among the examples of a batch."""

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import wide


def rkd_distance(features: jax.Array, teacher: jax.Array) -> jax.Array:
    """Distances among examples like the teacher's, `mean_{i != j} huber(d_ij / m - d'_ij / m')`.

    `d_ij = ||f_i - f_j||`, m its mean over pairs of different examples; huber(x) is x^2 / 2, and
    |x| - 1/2 from 1 on. Shifts, rotations and scales of either side do not count. Examples that
    coincide (to rounding) have distance 0 and no gradient between them. Nothing flows into
    `teacher`. RepDistiller weighs it by 25; it averages over all B^2 pairs, those of an example
    with itself too: (B - 1) / B of this.

    Args:
      features: floats `[B, D]`, B at least 2.
      teacher: `[B, E]`.

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if shapes do not fit, when traced.

    Reference: Park et al., Relational Knowledge Distillation, CVPR 2019, the section on the
      distance-wise loss, a sum there (https://arxiv.org/abs/1904.05068).
    """
    require_pairs("rkd_distance", features, teacher, 2)
    found = relative_distances(features)
    wanted = jax.lax.stop_gradient(relative_distances(teacher)).astype(found.dtype)
    count = len(features) * (len(features) - 1)
    return (huber(found - wanted).sum() / count).astype(features.dtype)


def rkd_angle(features: jax.Array, teacher: jax.Array) -> jax.Array:
    """Angles among examples like the teacher's, `mean_{i, j, k differ} huber(c_ijk - c'_ijk)`.

    `c_ijk = <e_ij, e_ik>`, `e_ij = (f_j - f_i) / ||f_j - f_i||`: the cosine at example i. Huber
    as in `rkd_distance`. Shifts, rotations and scales of either side do not count. Examples that
    coincide (to rounding) have cosine 0 and no gradient. Nothing flows into `teacher`.
    RepDistiller weighs it by 50; it averages over all B^3 triples: (B - 1) (B - 2) / B^2 of this.
    Memory grows as B^3 + B^2 D.

    Args:
      features: floats `[B, D]`, B at least 3.
      teacher: `[B, E]`.

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if shapes do not fit, when traced.

    Reference: Park et al., Relational Knowledge Distillation, CVPR 2019, the section on the
      angle-wise loss, a sum there (https://arxiv.org/abs/1904.05068).
    """
    require_pairs("rkd_angle", features, teacher, 3)
    found = cosines(features)
    wanted = jax.lax.stop_gradient(cosines(teacher)).astype(found.dtype)
    size = len(features)
    # With j = k both cosines are 1, unless one side's examples coincide.
    other = ~jnp.eye(size, dtype=bool)[None]
    terms = jnp.where(other, huber(found - wanted), 0.0)
    return (terms.sum() / (size * (size - 1) * (size - 2))).astype(features.dtype)


def relative_distances(features: jax.Array) -> jax.Array:
    """Distances over their mean, `[B, B]`, zeros on the diagonal; all 0 if examples coincide."""
    _, distances = directions(features)
    mean = distances.sum() / (len(features) * (len(features) - 1))
    return distances / jnp.where(mean == 0, 1.0, mean)


def cosines(features: jax.Array) -> jax.Array:
    """Cosines `[B, B, B]` at the first example between those towards the other two."""
    towards, _ = directions(features)
    return jnp.einsum("ijd,ikd->ijk", towards, towards, precision="highest")


def directions(features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Directions `[B, B, D]` of length 1 and distances `[B, B]`; 0 where examples coincide."""
    # Neither angles nor relative distances depend on the scale, squares overflow by it.
    features = wide(features)
    size = jax.lax.stop_gradient(jnp.abs(features).max())
    features = features / jnp.where(size == 0, 1.0, size)
    # Differences, not a Gram: near examples would cancel.
    apart = features[None] - features[:, None]
    squares = jnp.square(apart).sum(-1)
    # Compiled, equal examples differ by rounding (fused products), and that has a direction.
    none = squares <= (4.0 * jnp.finfo(squares.dtype).eps) ** 2 * features.shape[1]
    lengths = jnp.sqrt(jnp.where(none, 1.0, squares))
    return jnp.where(none[..., None], 0.0, apart / lengths[..., None]), jnp.where(none, 0, lengths)


def huber(errors: jax.Array) -> jax.Array:
    """`x^2 / 2`, and `|x| - 1/2` from 1 on."""
    size = jnp.abs(errors)
    return jnp.where(size < 1.0, 0.5 * jnp.square(errors), size - 0.5)


def require_pairs(name: str, features: jax.Array, teacher: jax.Array, least: int) -> None:
    """Requires features of the same examples, and enough of them to be compared."""
    fine = features.ndim == teacher.ndim == 2 and len(features) == len(teacher)
    if not fine or len(features) < least:
        raise ValueError(
            f"{name} needs features [B, D] and [B, E] with B at least {least}, "
            f"not {features.shape} and {teacher.shape}"
        )
