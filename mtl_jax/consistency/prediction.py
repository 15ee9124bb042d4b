"""Predictions that pseudo-labels are made of, before and after alignment."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

# Which of the two log-probabilities is used.
PredictionKind = Literal["raw", "aligned"]


class Prediction(NamedTuple):
    """Log-probabilities `[..., C]`, with gradients stopped."""

    raw: jax.Array
    aligned: jax.Array

    def log_probs(self, kind: PredictionKind) -> jax.Array:
        """Log-probabilities before ("raw") or after ("aligned") alignment."""
        return self.raw if kind == "raw" else self.aligned

    def confidence(self, kind: PredictionKind) -> jax.Array:
        """Largest probability `[...]`."""
        return jnp.exp(self.log_probs(kind).max(-1))


def mean_of(values: jax.Array, dtype: jax.typing.DTypeLike) -> jax.Array:
    """Mean `[C]` over all leading axes of `[..., C]`."""
    return values.reshape(-1, values.shape[-1]).astype(dtype).mean(0)
