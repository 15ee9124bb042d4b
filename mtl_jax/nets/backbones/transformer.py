"""Attention between tokens and the MLP of each: the two halves of a Transformer's block."""

from collections.abc import Callable

import flax.linen as nn
import jax

from mtl_jax.core.validation import require, require_count


def require_heads(owner: nn.Module) -> None:
    """Requires fields `width`, `depth` and `heads` that fit each other.

    Raises:
      BadInput: for a number below 1, or heads that do not divide the width.
    """
    require_count(owner, width=1, depth=1, heads=1)
    fine = owner.width % owner.heads == 0
    require(fine, owner, "heads", f"must divide width {owner.width}", owner.heads)


def attended(x: jax.Array, heads: int, init: Callable, mask: jax.Array | None = None) -> jax.Array:
    """What tokens `[N, T, D]` ask of each other, with parameters of the module that calls it.

    `softmax(Q K^T / sqrt(D / heads)) V`, the heads side by side, and a linear layer.

    Args:
      x: tokens.
      heads: of attention.
      init: of the kernels.
      mask: which tokens may be read, bool `[N, T]`; None for all.
    """
    mask = None if mask is None else mask[:, None, None, :]
    return nn.MultiHeadDotProductAttention(heads, kernel_init=init, name="attention")(x, mask=mask)


def fed(x: jax.Array, hidden: int, init: Callable) -> jax.Array:
    """`gelu(x W_1 + b_1) W_2 + b_2` of tokens, with parameters of the module that calls it."""
    inner = nn.Dense(hidden, kernel_init=init, name="mlp_in")(x)
    # Exact, as weights trained elsewhere expect; Flax's default is the tanh approximation.
    inner = nn.gelu(inner, approximate=False)
    return nn.Dense(x.shape[-1], kernel_init=init, name="mlp_out")(inner)
