"""DELTA: keep feature maps near those of the source, the channels that matter most of all."""

import math

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require


def behaviour(maps: jax.Array, source: jax.Array) -> jax.Array:
    """Distance of feature maps without attention, `1/2 sum_b ||F_b - F0_b||^2`.

    A sum over the batch and all entries, no mean. Nothing flows into `source`.

    Args:
      maps: of one layer, floats `[B, ..., C]`.
      source: of the source net on the same images, the same shape.

    Returns:
      A scalar `[]`; the terms of several layers add up.

    Raises:
      ValueError: if the shapes differ, when traced.

    Reference: Li et al., DELTA, ICLR 2019, the section on behavioural regularisation, without
      its weights (https://openreview.net/forum?id=rkgbwsAcYm).
    """
    return 0.5 * channel_distances("behaviour", maps, source).sum()


def delta(maps: jax.Array, source: jax.Array, weights: jax.Array) -> jax.Array:
    """Distance of feature maps with attention, `C / (2 P) sum_b sum_c w_c ||F_bc - F0_bc||^2`.

    P is the number of places of a map (H W); C undoes that the weights sum to 1. A sum over the
    batch, no mean. Nothing flows into `source` or `weights`. TLLib weighs it by 0.01, turns the
    weight decay off, and adds a penalty on the head.

    Args:
      maps: of one layer, floats `[B, ..., C]`.
      source: of the source net on the same images, the same shape.
      weights: of the channels, `[C]`, as from `channel_weights`.

    Returns:
      A scalar `[]`; the terms of several layers add up.

    Raises:
      ValueError: if shapes do not fit, when traced.

    Reference: Li et al., DELTA, ICLR 2019, the section on behavioural regularisation with
      attention (https://openreview.net/forum?id=rkgbwsAcYm); the factor C / P is TLLib's
      (https://github.com/thuml/Transfer-Learning-Library).
    """
    distances = channel_distances("delta", maps, source)
    if weights.shape != distances.shape:
        raise ValueError(f"delta needs weights [C] = {distances.shape}, not {weights.shape}")
    weights = jax.lax.stop_gradient(weights.astype(distances.dtype))
    factor = 0.5 * maps.shape[-1] / math.prod(maps.shape[1:-1])
    return factor * (weights * distances).sum()


def channel_weights(rises: jax.Array, temperature: float = 5.0) -> jax.Array:
    """Attention of channels from what they are worth, `softmax((r - mean r) / (std r T))`.

    The rise r_c is by how much the loss of the source net under a new, trained head rises when
    the filter of channel c is set to 0. Equal rises give equal weights.

    Args:
      rises: mean over some labelled examples, `[C]`.
      temperature: T.

    Returns:
      Weights `[C]` of sum 1.

    Raises:
      ValueError: if `rises` is no vector, when traced.
      BadInput: if T is not above 0.

    Reference: Li et al., DELTA, ICLR 2019, the section on supervised attention
      (https://openreview.net/forum?id=rkgbwsAcYm); there a plain softmax of r, the
      standardisation and T are TLLib's (https://github.com/thuml/Transfer-Learning-Library).
    """
    if rises.ndim != 1:
        raise ValueError(f"channel_weights needs rises [C], not {rises.shape}")
    require(temperature > 0, "channel_weights", "temperature", "must be above 0", temperature)
    centred = rises - rises.mean()
    spread = jnp.sqrt(jnp.square(centred).mean())
    scores = centred / jnp.where(spread == 0, 1.0, spread)
    return jax.lax.stop_gradient(jax.nn.softmax(scores / temperature))


def channel_distances(name: str, maps: jax.Array, source: jax.Array) -> jax.Array:
    """Squared distances `[C]` of maps `[B, ..., C]` by channel."""
    if maps.shape != source.shape or maps.ndim < 2:
        raise ValueError(
            f"{name} needs maps [B, ..., C] and source maps of the same shape, "
            f"not {maps.shape} and {source.shape}"
        )
    source = jax.lax.stop_gradient(source.astype(maps.dtype))
    return jnp.square(maps - source).sum(tuple(range(maps.ndim - 1)))
