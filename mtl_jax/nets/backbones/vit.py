"""Vision Transformer."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.features import Tokens
from mtl_jax.core.trunk import StagedTrunk
from mtl_jax.core.validation import require, require_choice, require_int, require_number
from mtl_jax.nets.backbones.stages import bind
from mtl_jax.nets.backbones.transformer import feed_forward, require_heads, self_attention
from mtl_jax.nets.peft.prompts import Prompt, Prompts, insert_prompt
from mtl_jax.nets.peft.transformer_adapter import Adapter, apply_adapter, require_adapter

INIT = nn.initializers.xavier_uniform()


class ViT(StagedTrunk, nn.Module):
    """Vision Transformer, `[N, H, W, C] -> [N, D]`.

    Patches of P x P pixels become tokens by a linear layer plus a learned position embedding each;
    a learned class token with its own position embedding is prepended; followed by blocks
    `y = x + attention(norm(x))`, `z = y + mlp(norm(y))`, and a last norm. Norms have epsilon 1e-6,
    GELU is exact. The sides of an image must be multiples of P, and all images of a model must
    have the same size. Sizes, for 224 x 224 x 3 images with patches of 16 pixels:

    | name  | width | depth | heads | parameters  |
    |-------|-------|-------|-------|-------------|
    | Ti/16 | 192   | 12    | 3     | 5,524,416   |
    | S/16  | 384   | 12    | 6     | 21,665,664  |
    | B/16  | 768   | 12    | 12    | 85,798,656  |
    | L/16  | 1024  | 24    | 16    | 303,301,632 |

    Kernels are initialized from Glorot's uniform distribution, that of the patches from LeCun's
    normal one, position embeddings from `N(0, 0.02^2)`, all others to 0, as in the authors' code,
    where in addition the biases of the MLP are initialized from `N(0, 1e-12)`. There is no
    dropout. Pretrained weights: `nets.pretrained.TIMM_VIT`, `nets.pretrained.GOOGLE_VIT`.

    Attributes:
      width: D.
      depth: number of blocks.
      heads: number of attention heads; must divide the width.
      ratio: hidden units of the MLP divided by the width.
      patch: P.
      pooling: "class" for the class token, "mean" for the mean of the patches (without class
        token and prompts), both after the last norm.
      prompts: additional learned tokens.
      adapter: bottlenecks in the blocks.
      features: "vector", the pooled features, which is also None; or "tokens", in addition those
        of the patches, row by row, after the last norm.

    Raises:
      BadInput: for a number below 1, heads that do not divide the width, or another invalid
        setting; when called, for images whose sides are not multiples of the patch.

    Reference: Dosovitskiy et al., An Image Is Worth 16x16 Words, ICLR 2021, Eqs. 1 to 4 and
      Table 1 (https://arxiv.org/abs/2010.11929); Ti and S are of Touvron et al., DeiT, ICML
      2021, Table 1 (https://arxiv.org/abs/2012.12877).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk, x = nets.ViT(width=192, depth=1, heads=3), jax.numpy.zeros((2, 224, 224, 3))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False), x
      ... )
      >>> features.shape
      (2, 192)
    """

    width: int = 192
    depth: int = 12
    heads: int = 3
    ratio: float = 4.0
    patch: int = 16
    pooling: str = "class"
    prompts: Prompts | None = None
    adapter: Adapter | None = None
    features: Literal["vector", "tokens"] | None = None

    convolutional = False  # Patches do not overlap, so the patch layer is a matrix product.

    def __post_init__(self):
        require_heads(self)
        require_int(self, patch=1)
        require_number(self, ratio=(1e-3, 1e3))
        require_choice(self, pooling=("class", "mean"))
        valid = self.prompts is None or isinstance(self.prompts, Prompts)
        require(valid, self, "prompts", "must be a nets.Prompts() or None", self.prompts)
        require_adapter(self)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array | Tokens:
        """Maps images `[N, H, W, C]` to features `[N, D]`, or to those of patches too."""
        names = ["patches", *(f"block{i}" for i in range(self.depth)), "norm"]
        for name, stage in zip(names, self.stages(), strict=True):
            x = bind(self, stage, name)(x, train=train)
        return self.pool(x)

    @nn.nowrap
    def stages(self) -> tuple[nn.Module, ...]:
        """The patches, the blocks and the last norm, as modules `(x, train) -> x`."""
        prompts = Prompt(self.prompts.count, self.patch, parent=None) if self.prompts else None
        deep_prompts = prompts if self.prompts and self.prompts.deep else None
        hidden = int(self.width * self.ratio)
        blocks = (
            Block(self.heads, hidden, self.adapter, deep_prompts if i else None, parent=None)
            for i in range(self.depth)
        )
        return PatchEmbed(self.width, self.patch, prompts, parent=None), *blocks, Norm(parent=None)

    @nn.nowrap
    def pool(self, x: jax.Array) -> jax.Array | Tokens:
        """Maps the output of the last stage `[N, T, D]` to features."""
        patches = x[:, 1 + (self.prompts.count if self.prompts else 0) :]
        summary = x[:, 0] if self.pooling == "class" else patches.mean(1)
        if self.features != "tokens":
            return summary
        return Tokens(summary, patches, jnp.ones(patches.shape[:2], x.dtype))


class PatchEmbed(nn.Module):
    """Images as tokens, `[N, H, W, C] -> [N, 1 + n + H W / P^2, D]`: class, prompts, patches.

    Attributes:
      width: D.
      patch: P.
      prompts: the prompts, if any.
    """

    width: int
    patch: int
    prompts: Prompt | None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to tokens."""
        patch, shape = self.patch, x.shape
        valid = x.ndim == 4 and shape[1] % patch == shape[2] % patch == 0
        rule = f"must be images [N, H, W, C] with sides that are multiples of {patch}"
        require(valid, "ViT", "x", rule, shape)
        grid = shape[1] // patch, shape[2] // patch
        width, zeros, normal = self.width, nn.initializers.zeros, nn.initializers.normal(0.02)
        init = nn.initializers.lecun_normal()
        kernel = self.param("kernel", init, (patch, patch, shape[3], width))
        bias = self.param("bias", zeros, (width,))
        bias = bias[None, None] + self.param("places", normal, (*grid, width))
        class_token = self.param("class", zeros, (width,)) + self.param(
            "class_place", normal, (width,)
        )
        x = x.reshape(shape[0], grid[0], patch, grid[1], patch, shape[3])
        x = x.transpose(0, 1, 3, 2, 4, 5).reshape(shape[0], *grid, -1)
        x = (x @ kernel.reshape(-1, width) + bias[None]).reshape(shape[0], -1, width)
        class_token = jnp.broadcast_to(class_token[None, None], (shape[0], 1, width))
        return insert_prompt(self, jnp.concatenate([class_token, x], 1), self.prompts, 0)


class Block(nn.Module):
    """A pre-norm block, `[N, T, D] -> [N, T, D]`.

    Attributes:
      heads: number of attention heads.
      hidden: number of hidden units of the MLP.
      adapter: bottlenecks after attention and MLP, if any.
      prompts: prompts that replace the previous ones, if any.
    """

    heads: int
    hidden: int
    adapter: Adapter | None
    prompts: Prompt | None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps tokens to tokens."""
        x = insert_prompt(self, x, self.prompts, self.prompts.count if self.prompts else 0)
        inner = self_attention(layer_norm(x, "norm_attention"), self.heads, INIT)
        x = x + apply_adapter(inner, self.adapter, "attention")
        inner = feed_forward(layer_norm(x, "norm_mlp"), self.hidden, INIT)
        return x + apply_adapter(inner, self.adapter, "mlp")


class Norm(nn.Module):
    """The last norm, `[N, T, D] -> [N, T, D]`."""

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps tokens to tokens."""
        return layer_norm(x, "norm")


def layer_norm(x: jax.Array, name: str) -> jax.Array:
    """Layer norm of tokens, with scale and shift as parameters of the calling module."""
    return nn.LayerNorm(epsilon=1e-6, name=name)(x)
