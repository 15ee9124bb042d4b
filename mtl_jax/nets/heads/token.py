"""Heads that read every token: its outputs, and a span of tokens."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.features import Tokens
from mtl_jax.core.head import Head
from mtl_jax.core.validation import require_int
from mtl_jax.nets.heads.features import require_features

PADDING = -1e9  # Logit of what cannot be chosen; a softmax makes it 0.


class Token(Head, nn.Module):
    """A linear head for every token, `[N, T, D] -> [N, T, C]`.

    Outputs at padding are as those of any token; a task leaves them out by its labels.

    Attributes:
      num_outputs: C.

    Raises:
      BadInput: for a number below 1; when called, for features that are no tokens or sequence.

    Reference: Devlin et al., BERT, NAACL 2019, Section 5.3 (https://arxiv.org/abs/1810.04805).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> head, features = nets.heads.Token(9), jax.numpy.zeros((2, 6, 16))
      >>> outputs, _ = head.init_with_output(jax.random.key(0), features, train=False)
      >>> outputs.shape
      (2, 6, 9)
    """

    num_outputs: int

    reads = ("tokens", "sequence")

    def __post_init__(self):
        require_int(self, num_outputs=1)
        super().__post_init__()

    @nn.compact
    def __call__(self, features: Tokens | jax.Array, *, train: bool) -> jax.Array:
        """Maps tokens to outputs of each."""
        require_features(self, features)
        x = features.tokens if isinstance(features, Tokens) else features
        return nn.Dense(self.num_outputs)(x)


class Span(Head, nn.Module):
    """The logits of the first and the last token of a span, `[N, T, D] -> [N, T, 2]`.

    A linear layer for every token; probabilities are softmaxes over the tokens. At padding both
    logits are -1e9.

    Raises:
      BadInput: when called, for features that are no tokens or sequence.

    Reference: Devlin et al., BERT, NAACL 2019, Section 4.2 (https://arxiv.org/abs/1810.04805).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> head, features = nets.heads.Span(), jax.numpy.zeros((2, 6, 16))
      >>> outputs, _ = head.init_with_output(jax.random.key(0), features, train=False)
      >>> outputs.shape
      (2, 6, 2)
    """

    num_outputs = 2
    reads = ("tokens", "sequence")

    @nn.compact
    def __call__(self, features: Tokens | jax.Array, *, train: bool) -> jax.Array:
        """Maps tokens to the logits of the start and the end at each."""
        require_features(self, features)
        if not isinstance(features, Tokens):
            return nn.Dense(2)(features)
        return jnp.where(features.mask[..., None] > 0, nn.Dense(2)(features.tokens), PADDING)
