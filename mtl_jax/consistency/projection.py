"""Embeddings of examples, by heads of the method's own, as vectors of length 1."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import Views
from mtl_jax.core.head_specs import Head
from mtl_jax.core.validation import require_count
from mtl_jax.core.views import View

# Length below which a vector has no direction.
SHORT = 1e-12


@dataclasses.dataclass(frozen=True)
class Projection:
    """Embeddings `z = h / |h|` of the features, h a layer behind a hidden one.

    With several heads, h is their mean ("ensemble projectors"): it is what is compared and what
    a memory keeps. An h of 0 stays 0, and has no gradient.

    Attributes:
      size: numbers of an embedding, D.
      count: heads; EPASS has 3.

    Raises:
      BadInput: for a size or a count below 1.

    Reference: Li et al., CoMatch, ICCV 2021, Section 3 (https://arxiv.org/abs/2011.11183);
      several: Nguyen, EPASS, WACV 2024 (https://arxiv.org/abs/2310.15764).
    """

    size: int = 64
    count: int = 1

    def __post_init__(self):
        require_count(self, size=1, count=1)

    def heads(self) -> dict[str, Head]:
        """The heads that it reads."""
        return dict.fromkeys(self.names, Head(self.size, hidden=1))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the heads."""
        return ("projection", *(f"projection{place}" for place in range(2, self.count + 1)))

    def __call__(self, views: Views, view: View) -> jax.Array:
        """Embeddings `[n, D]` of a view; gradients flow into the heads."""
        return unit(sum(views.of(view, name) for name in self.names))


def unit(vectors: jax.Array) -> jax.Array:
    """Vectors `[..., D]` brought to length 1; what is shorter than 1e-12 becomes 0."""
    squares = jnp.square(vectors).sum(-1, keepdims=True)
    # Both branches finite, or the gradient of a 0 is NaN.
    long = squares > SHORT**2
    return vectors * jnp.where(long, jax.lax.rsqrt(jnp.where(long, squares, 1.0)), 0.0)
