"""BERT: a Transformer that encodes texts."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require, require_choice, require_count
from mtl_jax.nets.backbones.transformer import attended, fed, require_heads
from mtl_jax.nets.peft.transformer_adapter import Adapter, adapted, require_adapter

INIT = nn.initializers.truncated_normal(0.02)


class BERT(nn.Module):
    """BERT and its kin, `[N, T] -> [N, D]`.

    The embeddings of token, place and type are added and normalised; then blocks
    `y = norm(x + attention(x))`, `z = norm(y + mlp(y))`. Norms have epsilon 1e-12, GELU is exact.
    Nobody attends to padding. All tokens are of type 0; one outside the vocabulary makes NaN.
    Features are of pooling

    - "class": `tanh(z_0 W + b)` of the first token, as BERT has it;
    - "mean": `m / |m|`, `m = mean z_t` over the tokens that are no padding, as
      sentence-transformers have it. A text of padding alone gives what the padding would say.

    | weights           | width | depth | heads | hidden | pooling | parameters  |
    |-------------------|-------|-------|-------|--------|---------|-------------|
    | bert-base-uncased | 768   | 12    | 12    | 3072   | "class" | 109,482,240 |
    | all-MiniLM-L6-v2  | 384   | 6     | 12    | 1536   | "mean"  | 22,565,376  |

    Kernels and tables are drawn from `N(0, 0.02^2)`, cut at two deviations. There is no dropout,
    which BERT has (0.1) in training. Weights trained elsewhere: `nets.pretrained.BERT`.

    Attributes:
      vocabulary: number of tokens.
      width: D.
      depth: number of blocks.
      heads: of attention; must divide the width.
      hidden: units of the MLP.
      places: the longest text.
      types: number of types, of which only the first is used.
      pad: the token that fills texts up.
      pooling: "class" or "mean".
      adapter: bottlenecks in the blocks, before their norms.

    Raises:
      BadInput: for a number below 1, heads that do not divide the width, or another setting
        that is none; when called, for other than texts of at most so many tokens.

    Reference: Devlin et al., BERT, NAACL 2019, Section 3 (https://arxiv.org/abs/1810.04805);
      Reimers and Gurevych, Sentence-BERT, EMNLP 2019, Section 3
      (https://arxiv.org/abs/1908.10084).
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

    convolutional = False

    def __post_init__(self):
        require_heads(self)
        require_count(self, vocabulary=1, hidden=1, places=1, types=1, pad=0)
        require_choice(self, pooling=("class", "mean"))
        require_adapter(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, tokens: bool = False) -> jax.Array:
        """Maps texts `[N, T]` of whole numbers to features `[N, D]`.

        With `tokens`, to what the last block says of each token, `[N, T, D]`.
        """
        rule = f"must be texts [N, T] of at most {self.places} tokens"
        require(x.ndim == 2 and x.shape[1] <= self.places, self, "x", rule, x.shape)
        x = x.astype(jnp.int32)  # Who asks for shapes alone may show it floats.
        mask = x != self.pad
        x = Embeddings(self.vocabulary, self.places, self.types, self.width, name="embed")(x)
        for at in range(self.depth):
            x = TextBlock(self.heads, self.hidden, self.adapter, name=f"block{at}")(x, mask)
        if tokens:
            return x
        if self.pooling == "mean":
            return directed(x, mask)
        return jnp.tanh(nn.Dense(self.width, kernel_init=INIT, name="pooler")(x[:, 0]))


class Embeddings(nn.Module):
    """Tokens as vectors, `norm(e_token + e_place + e_type)`, `[N, T] -> [N, T, D]`.

    Attributes:
      vocabulary: number of tokens.
      places: the longest text.
      types: number of types.
      width: D.
    """

    vocabulary: int
    places: int
    types: int
    width: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps whole numbers to vectors."""
        token, place, kind = (
            self.param(name, INIT, (size, self.width))
            for name, size in (
                ("token", self.vocabulary), ("place", self.places), ("type", self.types)
            )
        )  # fmt: skip
        # A token that is none becomes NaN; indexing would take the last one instead.
        words = jnp.take(token, x, axis=0, mode="fill")
        return normed(words + (place[: x.shape[1]] + kind[:1])[None], "norm")


class TextBlock(nn.Module):
    """A block that normalises after its halves, `[N, T, D] -> [N, T, D]`.

    Attributes:
      heads: of attention.
      hidden: units of the MLP.
      adapter: bottlenecks after the halves, if any.
    """

    heads: int
    hidden: int
    adapter: Adapter | None

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """Maps tokens to tokens; those outside the mask `[N, T]` are not read."""
        inner = adapted(attended(x, self.heads, INIT, mask), self.adapter, "attention")
        x = normed(x + inner, "norm_attention")
        inner = adapted(fed(x, self.hidden, INIT), self.adapter, "mlp")
        return normed(x + inner, "norm_mlp")


def normed(x: jax.Array, name: str) -> jax.Array:
    """Tokens with mean 0 and variance 1, scaled and shifted by the module that calls it."""
    # Flax's faster E[x^2] - E[x]^2 cancels where a mean is large, and this epsilon hides nothing.
    return nn.LayerNorm(epsilon=1e-12, use_fast_variance=False, name=name)(x)


def directed(x: jax.Array, mask: jax.Array) -> jax.Array:
    """The direction of the mean of tokens `[N, T, D]` over a mask `[N, T]`, `[N, D]`."""
    count = mask.sum(1, keepdims=True).astype(x.dtype)
    weight = jnp.where(count > 0, mask.astype(x.dtype) / jnp.maximum(count, 1.0), 1.0 / x.shape[1])
    mean = jnp.einsum("nt,ntd->nd", weight, x)
    # Where the mean is 0 the root would have no gradient.
    return mean * jax.lax.rsqrt(jnp.maximum((mean**2).sum(1, keepdims=True), 1e-24))
