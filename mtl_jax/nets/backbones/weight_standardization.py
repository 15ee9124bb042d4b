"""A convolution with weight standardisation."""

import functools
from typing import Any

import flax.linen as nn
import jax

from mtl_jax.nets.backbones.fast_conv import convolution


def standardize(kernel: jax.Array) -> jax.Array:
    """Weight standardisation, `(k - mean(k)) / sqrt(var(k) + 1e-10)` of each output channel.

    Mean and variance are over all inputs of a channel. The result is invariant to a kernel's scale
    and shift, up to epsilon, which maps a constant channel to 0. Gradients flow through mean and
    variance, and are scaled by 1e5 where the kernel is 0. Epsilon is that of the code of
    Big Transfer (`bit_pytorch/models.py`). timm's is 1e-8: for a kernel of variance 1e-5 the two
    differ by 0.05 %.

    Args:
      kernel: `[h, w, C, D]`.

    Returns:
      `[h, w, C, D]`, with mean 0 and variance 1 for each of the D channels.

    Reference: Qiao et al., Micro-Batch Training with Batch-Channel Normalization and Weight
      Standardization, 2019, its section on Weight Standardization
      (https://arxiv.org/abs/1903.10520).
    """
    mean = kernel.mean((0, 1, 2), keepdims=True)
    var = kernel.var((0, 1, 2), keepdims=True)
    return (kernel - mean) * jax.lax.rsqrt(var + 1e-10)


def standardized_convolution(
    x: jax.Array, kernel: jax.Array, *args: Any, **settings: Any
) -> jax.Array:
    """`mtl_jax.nets.backbones.fast_conv.convolution` with the standardised kernel."""
    return convolution(x, standardize(kernel), *args, **settings)


StdConv = functools.partial(nn.Conv, conv_general_dilated=standardized_convolution)
