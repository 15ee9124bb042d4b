"""Self-attention and the feed-forward MLP, the two halves of a Transformer block."""

from collections.abc import Callable

import flax.linen as nn
import jax

from mtl_jax.core.validation import require, require_int


def require_heads(owner: nn.Module) -> None:
    """Requires consistent fields `width`, `depth` and `heads`.

    Raises:
      BadInput: for a number below 1, or heads that do not divide the width.
    """
    require_int(owner, width=1, depth=1, heads=1)
    valid = owner.width % owner.heads == 0
    require(valid, owner, "heads", f"must divide width {owner.width}", owner.heads)


def self_attention(
    x: jax.Array, heads: int, init: Callable, mask: jax.Array | None = None
) -> jax.Array:
    """Self-attention over tokens `[N, T, D]`, with parameters of the calling module.

    `softmax(Q K^T / sqrt(D / heads)) V`, with concatenated heads, followed by a linear layer.

    Args:
      x: tokens.
      heads: number of attention heads.
      init: initializer of the kernels.
      mask: which tokens may be attended to, bool `[N, T]`; None for all.
    """
    mask = None if mask is None else mask[:, None, None, :]
    return nn.MultiHeadDotProductAttention(heads, kernel_init=init, name="attention")(x, mask=mask)


def feed_forward(x: jax.Array, hidden: int, init: Callable) -> jax.Array:
    """`gelu(x W_1 + b_1) W_2 + b_2` of tokens, with parameters of the calling module."""
    inner = nn.Dense(hidden, kernel_init=init, name="mlp_in")(x)
    # Exact, as pretrained weights expect; Flax's default is the tanh approximation.
    inner = nn.gelu(inner, approximate=False)
    return nn.Dense(x.shape[-1], kernel_init=init, name="mlp_out")(inner)
