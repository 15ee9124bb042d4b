"""Distillation of similarities: who resembles whom in a batch, as the teacher sees it."""

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import unit, wide

# What keeps a logarithm finite where two examples are opposite.
FLOOR = 1e-7


def similarity_preserving(features: jax.Array, teacher: jax.Array) -> jax.Array:
    """Similarities of a batch like the teacher's, `1/B^2 ||G - G_t||_F^2`.

    `G` are the inner products `F F^T` of the B examples, each row brought to length 1. Scales
    and rotations of the features do not count. An example of zeros has a row of zeros and no
    gradient. Nothing flows into `teacher`. RepDistiller weighs it by 3000.

    Args:
      features: floats `[B, ...]`, flattened by example, B at least 2.
      teacher: `[B, ...]`.

    Returns:
      A scalar `[]`.

    Raises:
      ValueError: if there are not as many examples, or fewer than 2, when traced.

    Reference: Tung and Mori, Similarity-Preserving Knowledge Distillation, ICCV 2019, the section
      on the method (https://arxiv.org/abs/1907.09682).
    """
    require_batch("similarity_preserving", features, teacher)
    found = similarities(features)
    wanted = jax.lax.stop_gradient(similarities(teacher)).astype(found.dtype)
    return (jnp.square(found - wanted).sum() / len(features) ** 2).astype(features.dtype)


def pkt(features: jax.Array, teacher: jax.Array) -> jax.Array:
    """Probabilistic knowledge transfer, `mean_i sum_{j != i} p_ij log((p_ij + e) / (q_ij + e))`.

    `q_ij` is `(cos(f_i, f_j) + 1) / 2` over its sum over j, `p_ij` the same of the teacher: with
    what probability i meets j; e = 1e-7. Lengths and rotations of the features do not count. An
    example of zeros has cosine 0 with all and no gradient. Nothing flows into `teacher`. The
    authors' code counts j = i too, and averages over all B^2 pairs; with that goes
    RepDistiller's weight of 30000, about B times what this needs.

    Args:
      features: floats `[B, ...]`, flattened by example, B at least 2.
      teacher: `[B, ...]`.

    Returns:
      A scalar `[]`, exactly 0 for equal features.

    Raises:
      ValueError: if there are not as many examples, or fewer than 2, when traced.

    Reference: Passalis and Tefas, Learning Deep Representations with Probabilistic Knowledge
      Transfer, ECCV 2018, the section on the method, cosine kernel
      (https://arxiv.org/abs/1803.10837).
    """
    require_batch("pkt", features, teacher)
    found = meetings(features)
    wanted = jax.lax.stop_gradient(meetings(teacher)).astype(found.dtype)
    each = wanted * jnp.log((wanted + FLOOR) / (found + FLOOR))
    return (each.sum() / len(features)).astype(features.dtype)


def similarities(features: jax.Array) -> jax.Array:
    """Inner products `[B, B]` of examples, each row of length 1."""
    flat = wide(features).reshape(len(features), -1)
    # Rows have length 1 whatever the scale, which would overflow in squares.
    size = jax.lax.stop_gradient(jnp.abs(flat).max())
    flat = flat / jnp.where(size == 0, 1.0, size)
    return unit(jnp.matmul(flat, flat.T, precision="highest"))


def meetings(features: jax.Array) -> jax.Array:
    """Probabilities `[B, B]` of each row's example to meet another, 0 for itself."""
    flat = unit(wide(features).reshape(len(features), -1))
    near = (jnp.matmul(flat, flat.T, precision="highest") + 1.0) / 2.0
    # Rounding may bring a cosine below -1.
    near = jnp.where(jnp.eye(len(flat), dtype=bool), 0.0, jnp.maximum(near, 0.0))
    return near / jnp.maximum(near.sum(1, keepdims=True), FLOOR)


def require_batch(name: str, features: jax.Array, teacher: jax.Array) -> None:
    """Requires features of the same examples, at least 2."""
    few = min(features.ndim, teacher.ndim) < 2 or len(features) < 2
    if few or len(features) != len(teacher):
        raise ValueError(
            f"{name} needs features [B, ...] of the same examples, B at least 2, "
            f"not {features.shape} and {teacher.shape}"
        )
