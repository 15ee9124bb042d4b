"""Prompts: learned tokens in addition to those of an image."""

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require, require_int
from mtl_jax.nets.backbones.stages import bind


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Learned tokens after the class token of a `ViT` (visual prompt tuning).

    n tokens of width D without position embedding, initialized from `U(-v, v)`,
    `v = sqrt(6 / (3 P^2 + D))` with patches of P pixels. Shallow prompts are inserted before the
    first block. Deep prompts are replaced by new ones before every later block, so that the output
    of a block for them is discarded.

    The parameters are in modules `prompt` of the patches and, if deep, of each later block: a run
    that freezes all others trains only them, and weights without them are loaded with
    `new_params=(r".*/prompt/.*",)`. The authors' dropout of prompts is omitted.

    Attributes:
      count: n.
      deep: whether every block has its own prompts.

    Raises:
      BadInput: for a count below 1, or a `deep` that is not a bool.

    Reference: Jia et al., Visual Prompt Tuning, ECCV 2022, Section 3.2
      (https://arxiv.org/abs/2203.12119); the initialization is from the authors' code
      (github.com/KMnP/vpt).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk = nets.ViT(width=8, depth=1, heads=2, prompts=nets.Prompts(5))
      >>> x = jax.ShapeDtypeStruct((1, 32, 32, 3), "float32")
      >>> variables = jax.eval_shape(lambda x: trunk.init(jax.random.key(0), x, train=False), x)
      >>> variables["params"]["patches"]["prompt"]["tokens"].shape
      (5, 8)
    """

    count: int = 10
    deep: bool = False

    def __post_init__(self):
        require_int(self, count=1)
        require(isinstance(self.deep, bool), self, "deep", "must be True or False", self.deep)


class Prompt(nn.Module):
    """Learned tokens for one block, `[n, D]`.

    Attributes:
      count: n.
      patch: side P of a patch in pixels, used in the initialization.
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


def insert_prompt(
    owner: nn.Module, x: jax.Array, prompt: Prompt | None, num_replaced: int
) -> jax.Array:
    """Tokens `[N, T, D]` with the owner's prompt after the first, replacing `num_replaced` tokens."""
    if prompt is None:
        return x
    tokens = bind(owner, prompt, "prompt")(x.shape[-1])
    tokens = jnp.broadcast_to(tokens[None], (x.shape[0], *tokens.shape))
    return jnp.concatenate([x[:, :1], tokens, x[:, 1 + num_replaced :]], 1)
