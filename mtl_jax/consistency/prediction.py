"""What a model says of the images whose targets are wanted, before and after alignment."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

# Which of the two a part of a method looks at.
Of = Literal["plain", "aligned"]


class Guess(NamedTuple):
    """Log-probabilities `[..., C]`, without gradient."""

    plain: jax.Array
    aligned: jax.Array

    def of(self, kind: Of) -> jax.Array:
        """One of the two."""
        return self.plain if kind == "plain" else self.aligned

    def confidence(self, kind: Of) -> jax.Array:
        """Largest probability `[...]`."""
        return jnp.exp(self.of(kind).max(-1))


def mean_of(values: jax.Array, dtype) -> jax.Array:
    """Mean `[C]` over all leading axes of `[..., C]`."""
    return values.reshape(-1, values.shape[-1]).astype(dtype).mean(0)
