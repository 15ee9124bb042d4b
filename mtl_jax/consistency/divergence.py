"""Divergences of a view from its target, as dataclasses, so that methods print as data."""

import dataclasses

import jax

from mtl_jax.losses import kl_divergence, probability_squared_error, soft_cross_entropy


@dataclasses.dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy with the target, see `soft_cross_entropy`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> logits, targets = jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]])
      >>> round(float(consistency.CrossEntropy()(logits, targets)[0]), 2)
      0.69
    """

    def __call__(self, logits: jax.Array, targets: jax.Array) -> jax.Array:
        """Maps logits and target probabilities `[..., C]` to the loss `[...]`."""
        return soft_cross_entropy(logits, targets)


@dataclasses.dataclass(frozen=True)
class KLDivergence:
    """KL divergence from the target, see `kl_divergence`: the same gradient as cross-entropy.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> logits, targets = jnp.zeros((1, 2)), jnp.array([[0.9, 0.1]])
      >>> round(float(consistency.KLDivergence()(logits, targets)[0]), 2)
      0.37
    """

    def __call__(self, logits: jax.Array, targets: jax.Array) -> jax.Array:
        """Maps logits and target probabilities `[..., C]` to the loss `[...]`."""
        return kl_divergence(logits, targets)


@dataclasses.dataclass(frozen=True)
class SquaredError:
    """Squared error of probabilities, mean over classes, see `probability_squared_error`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> logits, targets = jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]])
      >>> float(consistency.SquaredError()(logits, targets)[0])
      0.25
    """

    def __call__(self, logits: jax.Array, targets: jax.Array) -> jax.Array:
        """Maps logits and target probabilities `[..., C]` to the loss `[...]`."""
        return probability_squared_error(logits, targets)
