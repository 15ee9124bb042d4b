"""Shared parts of methods with a domain discriminator."""

import math
from collections.abc import Sequence
from typing import Protocol

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.tree import sum_arrays
from mtl_jax.core.validation import require, require_number
from mtl_jax.domain_adaptation.bsp import spectral_penalty
from mtl_jax.domain_adaptation.domain_views import BOTH
from mtl_jax.domain_adaptation.reversal import reverse_gradient


class HasWidths(Protocol):
    """A method whose discriminator has hidden layers."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the layers."""


class HasSpectralPenalty(HasWidths, Protocol):
    """A method that may also use the penalty of BSP."""

    @property
    def spectral(self) -> float:
        """Weight of the penalty."""

    @property
    def weight(self) -> float:
        """Weight of the total loss."""


def check_settings(method: HasSpectralPenalty) -> None:
    """Requires settings to be in range."""
    require_number(method, spectral=(0.0, math.inf), weight=(0.0, math.inf))
    require_hidden_widths(method)


def require_hidden_widths(method: HasWidths) -> None:
    """Requires widths of at least 1; the tuple may be empty."""
    widths = method.widths
    valid = isinstance(widths, tuple) and all(type(w) is int and w > 0 for w in widths)
    require(valid, method, "widths", "must be a tuple of integers above 0", widths)


def domain_logits(
    views: AuxInputs, inputs: Sequence[jax.Array], coefficient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Discriminator logits of the source `[B]` and the target `[U]`, with gradients reversed."""
    reversed_inputs = reverse_gradient(jnp.concatenate(inputs), coefficient)
    logits = views.apply_head("domain", reversed_inputs)[:, 0]
    source, target = jnp.split(logits, [len(inputs[0])])
    return source, target


def spectral_loss(method: HasSpectralPenalty, views: AuxInputs) -> jax.Array:
    """Weighted penalty of BSP, summed over both batches, `[]`."""
    if method.spectral == 0:
        return jnp.zeros(())
    return method.spectral * sum_arrays(spectral_penalty(views.features[view]) for view in BOTH)


def domain_accuracy(source: jax.Array, target: jax.Array) -> jax.Array:
    """Accuracy `[]` of the discriminator, averaged over both domains."""
    return 0.5 * ((source > 0).astype(float).mean() + (target <= 0).astype(float).mean())
