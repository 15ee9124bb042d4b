"""Distillation of features: resemble the teacher's layers, or where they look."""

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import unit


def fitnet(features: jax.Array, teacher: jax.Array) -> jax.Array:
    """Distance of features from those of the teacher, `1/D ||F - F_t||^2`, per example.

    D counts all numbers of an example. Nothing flows into `teacher`. Where the sizes differ, the
    caller puts a layer of its own (a 1 x 1 convolution) behind `features` first. RepDistiller
    weighs it by 100.

    Args:
      features: floats `[B, ...]`.
      teacher: the same shape.

    Returns:
      The loss `[B]`.

    Raises:
      ValueError: if the shapes differ, when traced.

    Reference: Romero et al., FitNets, ICLR 2015, the loss of hint-based training, a sum with 1/2
      there (https://arxiv.org/abs/1412.6550).
    """
    if features.shape != teacher.shape or features.ndim < 2:
        raise ValueError(
            f"fitnet needs features [B, ...] of one shape, not {features.shape} and "
            f"{teacher.shape}: put a layer behind the student's"
        )
    errors = features - jax.lax.stop_gradient(teacher.astype(features.dtype))
    return jnp.square(errors).reshape(len(features), -1).mean(-1)


def attention_transfer(maps: jax.Array, teacher: jax.Array) -> jax.Array:
    """Distance of attention maps, `1/P ||q / ||q|| - q_t / ||q_t|| ||^2`, per example.

    `q = sum_c F_c^2` over the channels, a vector of the P places (H W). Scales of the features
    and orders of the channels do not count. A map of zeros has no attention (zeros) and no
    gradient. Nothing flows into `teacher`. RepDistiller weighs it by 1000.

    Args:
      maps: of a layer, floats `[B, ..., C]`.
      teacher: of the same places, its channels may be other and as many as it likes.

    Returns:
      The loss `[B]`; the terms of several layers add up.

    Raises:
      ValueError: if the places differ, when traced.

    Reference: Zagoruyko and Komodakis, Paying More Attention to Attention, ICLR 2017, the section
      on activation-based attention transfer, p = 2; the mean of squares is that of the authors'
      code, the paper has the norm (https://arxiv.org/abs/1612.03928).
    """
    if maps.shape[:-1] != teacher.shape[:-1] or maps.ndim < 3:
        raise ValueError(
            f"attention_transfer needs maps [B, ..., C] of the same places, "
            f"not {maps.shape} and {teacher.shape}: resize one of them"
        )
    wanted = jax.lax.stop_gradient(attention(teacher)).astype(maps.dtype)
    return jnp.square(attention(maps) - wanted).mean(-1)


def attention(maps: jax.Array) -> jax.Array:
    """Where maps `[B, ..., C]` are strong, as vectors `[B, P]` of length 1."""
    return unit(jnp.square(maps).sum(-1).reshape(len(maps), -1))
