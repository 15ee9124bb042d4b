"""BERT: a Transformer text encoder."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.features import Tokens
from mtl_jax.core.trunk import Trunk
from mtl_jax.core.validation import require, require_choice, require_int
from mtl_jax.nets.backbones.transformer import feed_forward, require_heads, self_attention
from mtl_jax.nets.peft.transformer_adapter import Adapter, apply_adapter, require_adapter

INIT = nn.initializers.truncated_normal(0.02)


class BERT(Trunk, nn.Module):
    """BERT and its variants, `[N, T] -> [N, D]`.

    The token, position and type embeddings are added and normalized, followed by blocks
    `y = norm(x + attention(x))`, `z = norm(y + mlp(y))`. Norms have epsilon 1e-12, GELU is exact.
    Padding is masked in the attention. All tokens have type 0; a token outside the vocabulary
    results in NaN. Features depend on the pooling

    - "class": `tanh(z_0 W + b)` of the first token, as in BERT;
    - "mean": `m / |m|`, `m = mean z_t` over the tokens that are not padding, as in
      sentence-transformers. For a text of only padding, the mean is over the padding.

    | weights           | width | depth | heads | hidden | pooling | parameters  |
    |-------------------|-------|-------|-------|--------|---------|-------------|
    | bert-base-uncased | 768   | 12    | 12    | 3072   | "class" | 109,482,240 |
    | all-MiniLM-L6-v2  | 384   | 6     | 12    | 1536   | "mean"  | 22,565,376  |

    Kernels and embeddings are initialized from `N(0, 0.02^2)`, truncated at two standard
    deviations. There is no dropout, which BERT uses (0.1) in training. Pretrained weights:
    `nets.pretrained.BERT`.

    Attributes:
      vocabulary: number of tokens.
      width: D.
      depth: number of blocks.
      heads: number of attention heads; must divide the width.
      hidden: number of hidden units of the MLP.
      places: maximum number of positions.
      types: number of types, of which only the first is used.
      pad: the padding token.
      pooling: "class" or "mean".
      adapter: bottlenecks in the blocks, before their norms.
      features: "vector", the pooled features, which is also None; or "tokens", in addition the
        output of the last block for every token, and which of them are no padding.

    Raises:
      BadInput: for a number below 1, heads that do not divide the width, or another invalid
        setting; when called, for anything but texts of at most `places` tokens.

    Reference: Devlin et al., BERT, NAACL 2019, Section 3 (https://arxiv.org/abs/1810.04805);
      Reimers and Gurevych, Sentence-BERT, EMNLP 2019, Section 3
      (https://arxiv.org/abs/1908.10084).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.BERT(width=384, depth=1, hidden=1536), jax.numpy.zeros((2, 16), "int32")
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 384)
    """

    vocabulary: int = 30_522
    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072
    places: int = 512
    types: int = 2
    pad: int = 0
    pooling: str = "class"
    adapter: Adapter | None = None
    features: Literal["vector", "tokens"] | None = None

    convolutional = False

    def __post_init__(self):
        require_heads(self)
        require_int(self, vocabulary=1, hidden=1, places=1, types=1, pad=0)
        require_choice(self, pooling=("class", "mean"))
        require_adapter(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array | Tokens:
        """Maps texts `[N, T]` of integers to features `[N, D]`, or to those of tokens too."""
        rule = f"must be texts [N, T] of at most {self.places} tokens"
        require(x.ndim == 2 and x.shape[1] <= self.places, self, "x", rule, x.shape)
        x = x.astype(jnp.int32)  # Shape inference may pass floats.
        mask = x != self.pad
        x = Embeddings(self.vocabulary, self.places, self.types, self.width, name="embed")(x)
        for i in range(self.depth):
            x = TextBlock(self.heads, self.hidden, self.adapter, name=f"block{i}")(x, mask)
        if self.pooling == "mean":
            summary = normalized_mean(x, mask)
        else:
            summary = jnp.tanh(nn.Dense(self.width, kernel_init=INIT, name="pooler")(x[:, 0]))
        return Tokens(summary, x, mask.astype(x.dtype)) if self.features == "tokens" else summary


class Embeddings(nn.Module):
    """Token embeddings, `norm(e_token + e_place + e_type)`, `[N, T] -> [N, T, D]`.

    Attributes:
      vocabulary: number of tokens.
      places: maximum number of positions.
      types: number of types.
      width: D.
    """

    vocabulary: int
    places: int
    types: int
    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps integers to vectors."""
        token, place, kind = (
            self.param(name, INIT, (size, self.width))
            for name, size in (
                ("token", self.vocabulary), ("place", self.places), ("type", self.types)
            )
        )  # fmt: skip
        # An invalid token becomes NaN; indexing would use the last one instead.
        words = jnp.take(token, x, axis=0, mode="fill")
        return layer_norm(words + (place[: x.shape[1]] + kind[:1])[None], "norm")


class TextBlock(nn.Module):
    """A post-norm block, `[N, T, D] -> [N, T, D]`.

    Attributes:
      heads: number of attention heads.
      hidden: number of hidden units of the MLP.
      adapter: bottlenecks after attention and MLP, if any.
    """

    heads: int
    hidden: int
    adapter: Adapter | None

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """Maps tokens to tokens; those outside the mask `[N, T]` are not attended to."""
        inner = apply_adapter(self_attention(x, self.heads, INIT, mask), self.adapter, "attention")
        x = layer_norm(x + inner, "norm_attention")
        inner = apply_adapter(feed_forward(x, self.hidden, INIT), self.adapter, "mlp")
        return layer_norm(x + inner, "norm_mlp")


def layer_norm(x: jax.Array, name: str) -> jax.Array:
    """Layer norm of tokens, with scale and shift as parameters of the calling module."""
    # Flax's faster E[x^2] - E[x]^2 cancels for large means, and this epsilon is too small to help.
    return nn.LayerNorm(epsilon=1e-12, use_fast_variance=False, name=name)(x)


def normalized_mean(x: jax.Array, mask: jax.Array) -> jax.Array:
    """The normalized mean of tokens `[N, T, D]` over a mask `[N, T]`, `[N, D]`."""
    count = mask.sum(1, keepdims=True).astype(x.dtype)
    weight = jnp.where(count > 0, mask.astype(x.dtype) / jnp.maximum(count, 1.0), 1.0 / x.shape[1])
    mean = jnp.einsum("nt,ntd->nd", weight, x)
    # Where the mean is 0 the root would have no gradient.
    return mean * jax.lax.rsqrt(jnp.maximum((mean**2).sum(1, keepdims=True), 1e-24))
