"""Prompts: learnt tokens beside those of an image."""

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require, require_count
from mtl_jax.nets.backbones.stages import hung


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Learnt tokens after the class token of a `ViT` (visual prompt tuning).

    n tokens of width D, drawn from `U(-v, v)`, `v = sqrt(6 / (3 P^2 + D))` with patches of P
    pixels, and without a place in the image. Shallow ones enter before the first block. Deep
    ones are replaced by others before every later block, so that what a block makes of them is
    only read by its attention.

    The parameters lie in modules `prompt`, of the patches and, deep, of each later block: a run
    that freezes all others trains them alone, and weights without them are read with
    `fresh=(r".*/prompt/.*",)`. The authors' dropout of prompts is left out.

    Attributes:
      count: n.
      deep: whether every block has its own.

    Raises:
      BadInput: for a count below 1, or what is no yes or no.

    Reference: Jia et al., Visual Prompt Tuning, ECCV 2022, Section 3.2
      (https://arxiv.org/abs/2203.12119); the draw is of the authors' code
      (github.com/KMnP/vpt).
    """

    count: int = 10
    deep: bool = False

    def __post_init__(self):
        require_count(self, count=1)
        require(isinstance(self.deep, bool), self, "deep", "must be True or False", self.deep)


class Prompt(nn.Module):
    """Learnt tokens for one block, `[n, D]`.

    Attributes:
      count: n.
      patch: pixels P of a patch's side, by which they are drawn.
    """

    count: int
    patch: int

    @nn.compact
    def __call__(self, width: int) -> jax.Array:
        """The tokens `[n, D]` of a width D."""
        bound = math.sqrt(6.0 / (3.0 * self.patch**2 + width))

        def init(key, shape):
            return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

        return self.param("tokens", init, (self.count, width))


def prompted(owner: nn.Module, x: jax.Array, prompt: Prompt | None, instead: int) -> jax.Array:
    """Tokens `[N, T, D]` with the owner's prompt after the first, in the place of so many."""
    if prompt is None:
        return x
    tokens = hung(owner, prompt, "prompt")(x.shape[-1])
    tokens = jnp.broadcast_to(tokens[None], (len(x), *tokens.shape))
    return jnp.concatenate([x[:, :1], tokens, x[:, 1 + instead :]], 1)
