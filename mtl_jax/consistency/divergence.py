"""How far what a view says is from its target; each a setting, so that methods print as data."""

import dataclasses

import jax

from mtl_jax.losses import kl_divergence, probability_squared_error, soft_cross_entropy


@dataclasses.dataclass(frozen=True)
class CrossEntropy:
    """Cross-entropy with the target, `soft_cross_entropy`."""

    def __call__(self, logits: jax.Array, targets: jax.Array) -> jax.Array:
        """Maps logits and target probabilities `[..., C]` to the loss `[...]`."""
        return soft_cross_entropy(logits, targets)


@dataclasses.dataclass(frozen=True)
class KLDivergence:
    """Divergence from the target, `kl_divergence`: the same gradient as cross-entropy."""

    def __call__(self, logits: jax.Array, targets: jax.Array) -> jax.Array:
        """Maps logits and target probabilities `[..., C]` to the loss `[...]`."""
        return kl_divergence(logits, targets)


@dataclasses.dataclass(frozen=True)
class SquaredError:
    """Squared error of probabilities, as a mean over classes, `probability_squared_error`."""

    def __call__(self, logits: jax.Array, targets: jax.Array) -> jax.Array:
        """Maps logits and target probabilities `[..., C]` to the loss `[...]`."""
        return probability_squared_error(logits, targets)
