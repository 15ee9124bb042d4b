"""GradNorm: learnt weights that bring the tasks' gradients to common lengths."""

import dataclasses
import math
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from mtl_jax.core.validation import require_number
from mtl_jax.solvers.quadratic import check_square, unit_scale


class GradNormState(NamedTuple):
    """The weights, Adam's moments of them, and the losses of the first step and of this one."""

    weights: jax.Array  # [K]
    moments: Any
    initial: jax.Array  # [K]
    losses: jax.Array  # [K]
    begun: jax.Array  # [], whether any losses were read


@dataclasses.dataclass(frozen=True)
class GradNorm:
    """Gradient normalisation: w descends `sum_i |w_i ||g_i|| - t_i|`, and then sums to K.

    The target `t_i = mean_j(w_j ||g_j||) r_i^alpha` is held fixed; `r_i = (L_i / L_i(0)) /
    mean_j (L_j / L_j(0))` says how slowly a task trains. The weights are those from before
    this step's update, as in the paper's algorithm; at first all are 1. Then w takes one Adam
    step, is held at 0 or above (the paper says nothing of that) and scaled to the sum K. The
    lengths are taken relative to the longest, so scaling all gradients alike changes nothing. Only
    the diagonal of G matters; nothing is promised of conflict.

    Where the paper leaves it open: gradients are of all shared parameters (it takes the last
    shared layer, to save time: see the run's space), and L(0) are the losses of the first step.

    Degenerate gradients: a zero one does not move its weight (its slope is zero), but the sum
    does; all zero, all equal or K = 1 leave w as it is. Losses that are not finite are passed
    over; r_i is 1 where `L_i(0)` is not positive, and before any loss was read. A NaN or an
    infinity in G makes all weights NaN, and the state stays as it was. No gradient flows into G
    or the losses. The reference weighs heads too; here they keep their own gradient unless the
    run says `heads="weighted"`.

    Attributes:
      alpha: how strongly slow tasks are favoured; 1.5 for NYUv2 in the paper, 0.12 for its toy.
      learning_rate: of Adam on w.

    Raises:
      BadInput: for a number below 0.

    Reference: Chen et al., GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep
      Multitask Networks, ICML 2018, Eqs. 1 and 2 and Algorithm 1
      (https://arxiv.org/abs/1711.02257).
    """

    alpha: float = 1.5
    learning_rate: float = 0.025

    def __post_init__(self):
        require_number(self, alpha=(0.0, math.inf), learning_rate=(0.0, math.inf))

    def init(self, num_tasks: int) -> GradNormState:
        """State before the first step: weights of 1, Adam's zeros, no losses."""
        weights = jnp.ones(num_tasks, float)
        moments = optax.adam(self.learning_rate).init(weights)
        initial, losses = jnp.ones(num_tasks, float), jnp.ones(num_tasks, float)
        return GradNormState(weights, moments, initial, losses, jnp.bool_(False))

    def read_losses(self, losses: jax.Array, state: GradNormState) -> GradNormState:
        """Keeps the losses `[K]` of this step, and of the first one."""
        chex.assert_equal_shape([losses, state.losses])
        new = jax.lax.stop_gradient(losses).astype(state.losses.dtype)
        finite = jnp.isfinite(new).all()
        return state._replace(
            initial=jnp.where(finite & ~state.begun, new, state.initial),
            losses=jnp.where(finite, new, state.losses),
            begun=state.begun | finite,
        )

    def weigh_gram(
        self, gram: jax.Array, state: GradNormState, key: jax.Array
    ) -> tuple[jax.Array, GradNormState]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`, and takes a step with them."""
        check_square(gram)
        chex.assert_shape(state.weights, gram.shape[:1])
        matrix = jax.lax.stop_gradient(gram)
        squares = jnp.maximum(jnp.diagonal(unit_scale(matrix)), 0.0)
        slope = slopes(jnp.sqrt(squares).astype(state.weights.dtype), self.rates(state), state)
        with jax.numpy_dtype_promotion("standard"):  # Optax raises a float to an int power.
            change, moments = optax.adam(self.learning_rate).update(slope, state.moments)
        moved = state._replace(weights=renormalised(state.weights + change), moments=moments)
        finite = jnp.isfinite(matrix).all()
        after = jax.tree.map(lambda new, old: jnp.where(finite, new, old), moved, state)
        return jnp.where(finite, state.weights, jnp.nan).astype(gram.dtype), after

    def rates(self, state: GradNormState) -> jax.Array:
        """`r^alpha` `[K]`; r are the inverse training rates, with mean 1."""
        there = state.initial > 0
        ratio = jnp.where(there, state.losses / jnp.where(there, state.initial, 1.0), 1.0)
        ratio = jnp.maximum(ratio, 0.0)
        mean = ratio.mean()
        return jnp.where(mean > 0, ratio / jnp.where(mean > 0, mean, 1.0), 1.0) ** self.alpha


def slopes(lengths: jax.Array, rates: jax.Array, state: GradNormState) -> jax.Array:
    """The derivative `[K]` of the sum of distances from the targets by the weights."""
    norms = state.weights * lengths
    return jnp.sign(norms - norms.mean() * rates) * lengths


def renormalised(weights: jax.Array) -> jax.Array:
    """Weights of at least 0 that sum to K; all 1 if none is left."""
    weights = jnp.maximum(weights, 0.0)
    total = weights.sum()
    return jnp.where(total > 0, weights * len(weights) / jnp.where(total > 0, total, 1.0), 1.0)
