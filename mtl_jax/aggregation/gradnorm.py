"""GradNorm: learned weights that balance the tasks' gradient norms."""

import dataclasses
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from mtl_jax.aggregation.jacobian_rows import where_finite
from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require_number
from mtl_jax.solvers.adam import adam_step
from mtl_jax.solvers.quadratic import check_square, normalize_gram


class GradNormState(NamedTuple):
    """The weights, their Adam moments, and the losses of the first and current steps."""

    weights: jax.Array  # [K]
    moments: optax.OptState
    initial: jax.Array  # [K]
    losses: jax.Array  # [K]
    initialized: jax.Array  # [], whether any losses were observed


@dataclasses.dataclass(frozen=True)
class GradNorm(GramWeighting):
    """Gradient normalization: w minimizes `sum_i |w_i ||g_i|| - t_i|`, rescaled to sum K.

    The target `t_i = mean_j(w_j ||g_j||) r_i^alpha` is treated as a constant;
    `r_i = (L_i / L_i(0)) / mean_j (L_j / L_j(0))` is the task's relative inverse training rate. The
    returned weights are those before this step's update, as in the paper's algorithm; initially all
    are 1. Then w takes one Adam step, is clipped at 0 (which the paper does not specify) and
    rescaled to sum K. The norms are taken relative to the largest, so the method is invariant to
    scaling all gradients by the same factor. Only the diagonal of G is used; the combination may
    conflict with a task.

    Choices that the paper leaves open: gradients are of all shared parameters (the paper uses the
    last shared layer to save time: see the run's `jacobian_wrt`), and L(0) are the losses of the
    first step.

    Degenerate gradients: a zero gradient does not move its weight (its derivative is zero), but the
    rescaling does; all-zero gradients, equal gradients or K = 1 leave w unchanged. Losses that are
    not finite are skipped; r_i is 1 where `L_i(0)` is not positive, and before any loss is
    observed. A NaN or infinity in G makes all weights NaN and leaves the state unchanged. There is
    no gradient with respect to G or the losses. The reference also weights heads; here they keep
    their own gradients unless the run sets `heads="weighted"`.

    Attributes:
      alpha: strength of the preference for slow tasks; 1.5 for NYUv2 in the paper, 0.12 for its toy
        problem.
      learning_rate: Adam learning rate for w.

    Raises:
      BadInput: for a negative number.

    Reference: Chen et al., GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep
      Multitask Networks, ICML 2018, Eqs. 1 and 2 and Algorithm 1
      (https://arxiv.org/abs/1711.02257).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> method, gram = aggregation.GradNorm(learning_rate=0.1), jnp.diag(jnp.array([4.0, 1.0]))
      >>> state = method.pre_step(jnp.array([1.0, 1.0]), method.init(2))
      >>> weights, state = method.weigh_gram(gram, state, jax.random.key(0))
      >>> weights.tolist(), [round(weight, 2) for weight in state.weights.tolist()]
      ([1.0, 1.0], [0.9, 1.1])
    """

    alpha: float = 1.5
    learning_rate: float = 0.025

    def __post_init__(self):
        require_number(self, alpha=(0.0, math.inf), learning_rate=(0.0, math.inf))

    def init(self, num_tasks: int) -> GradNormState:
        """Initial state: weights of 1, zero Adam moments, no losses."""
        weights = jnp.ones(num_tasks, float)
        moments = optax.adam(self.learning_rate).init(weights)
        initial, losses = jnp.ones(num_tasks, float), jnp.ones(num_tasks, float)
        return GradNormState(weights, moments, initial, losses, jnp.bool_(False))

    def pre_step(self, losses: jax.Array, state: GradNormState) -> GradNormState:
        """Stores the losses `[K]` of the current step, and of the first one."""
        chex.assert_equal_shape([losses, state.losses])
        new = jax.lax.stop_gradient(losses).astype(state.losses.dtype)
        finite = jnp.isfinite(new).all()
        return state._replace(
            initial=jnp.where(finite & ~state.initialized, new, state.initial),
            losses=jnp.where(finite, new, state.losses),
            initialized=state.initialized | finite,
        )

    def weigh_gram(
        self, gram: jax.Array, state: GradNormState, key: jax.Array
    ) -> tuple[jax.Array, GradNormState]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`, and takes one step on them."""
        check_square(gram)
        chex.assert_shape(state.weights, gram.shape[:1])
        matrix = jax.lax.stop_gradient(gram)
        squares = jnp.maximum(jnp.diagonal(normalize_gram(matrix)), 0.0)
        norms = jnp.sqrt(squares).astype(state.weights.dtype)
        gradient = weight_gradient(state.weights, norms, self.rates(state))
        weights, moments = adam_step(state.weights, gradient, state.moments, self.learning_rate)
        updated = state._replace(weights=renormalize(weights), moments=moments)
        finite = jnp.isfinite(matrix).all()
        applied = jnp.where(finite, state.weights, jnp.nan).astype(gram.dtype)
        return applied, where_finite(finite, updated, state)

    def rates(self, state: GradNormState) -> jax.Array:
        """`r^alpha` `[K]`, where r are the inverse training rates with mean 1."""
        positive = state.initial > 0
        ratio = jnp.where(positive, state.losses / jnp.where(positive, state.initial, 1.0), 1.0)
        ratio = jnp.maximum(ratio, 0.0)
        mean = ratio.mean()
        return jnp.where(mean > 0, ratio / jnp.where(mean > 0, mean, 1.0), 1.0) ** self.alpha


def weight_gradient(weights: jax.Array, norms: jax.Array, rates: jax.Array) -> jax.Array:
    """Derivative `[K]` of the sum of distances from the targets with respect to the weights."""
    weighted = weights * norms
    return jnp.sign(weighted - weighted.mean() * rates) * norms


def renormalize(weights: jax.Array) -> jax.Array:
    """Clips weights at 0 and rescales them to sum K; all 1 if their sum is zero."""
    weights = jnp.maximum(weights, 0.0)
    total = weights.sum()
    return jnp.where(total > 0, weights * len(weights) / jnp.where(total > 0, total, 1.0), 1.0)
