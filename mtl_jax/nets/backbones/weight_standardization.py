"""A convolution whose kernels are standardised where they are used."""

import functools
from typing import Any

import flax.linen as nn
import jax

from mtl_jax.nets.backbones.fast_conv import convolution


def standardised(kernel: jax.Array) -> jax.Array:
    """Weight standardisation, `(k - mean(k)) / sqrt(var(k) + 1e-10)` of each output channel.

    Mean and variance are over all that a channel sums up. A kernel's scale and shift do not count,
    but for epsilon, which makes 0 of a channel of equal numbers. Gradients pass through mean and
    variance, and become 1e5 times as long where the kernel is 0. Epsilon is that of the code of
    Big Transfer (`bit_pytorch/models.py`). timm's is 1e-8: for a kernel of variance 1e-5 the two
    differ by 0.05 %.

    Args:
      kernel: `[h, w, C, D]`.

    Returns:
      `[h, w, C, D]`, with mean 0 and variance 1 of each D.

    Reference: Qiao et al., Micro-Batch Training with Batch-Channel Normalization and Weight
      Standardization, 2019, its section on Weight Standardization
      (https://arxiv.org/abs/1903.10520).
    """
    mean = kernel.mean((0, 1, 2), keepdims=True)
    var = kernel.var((0, 1, 2), keepdims=True)
    return (kernel - mean) * jax.lax.rsqrt(var + 1e-10)


def standardised_convolution(
    x: jax.Array, kernel: jax.Array, *how: Any, **settings: Any
) -> jax.Array:
    """`mtl_jax.nets.backbones.fast_conv.convolution` by the standardised kernel."""
    return convolution(x, standardised(kernel), *how, **settings)


StdConv = functools.partial(nn.Conv, conv_general_dilated=standardised_convolution)
