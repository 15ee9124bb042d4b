"""STCH: smooth Tchebycheff scalarization, a smooth maximum of the losses."""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import LossWeighting
from mtl_jax.core.validation import require, require_int, require_number
from mtl_jax.weighting.log_sum import log_derivative
from mtl_jax.weighting.per_task import per_task, require_length, require_numbers, require_weights


class STCHState(NamedTuple):
    """Number of steps, and accumulated losses at the end of the warm-up."""

    step: jax.Array  # []
    total: jax.Array  # [K]


@dataclasses.dataclass(frozen=True)
class STCH(LossWeighting):
    """Smooth Tchebycheff scalarization: derivatives of `m log sum_i exp(r_i (f_i - z_i) / m)`.

    Without a warm-up `f_i = L_i` and `w_i = r_i p_i`, `p = softmax(r (L - z) / m)`: the largest
    loss dominates, so the losses should have comparable scales. The weights do not change if L, z
    and m scale by the same factor.

    With a warm-up, as in the authors' code, the first `warmup` steps use the weights of `LogSum`.
    The mean losses of the last `window` of them become the nadir n. From then on
    `f_i = log(L_i / n_i)`, and the value is `K m log sum_i exp(K r_i (f_i - z_i) / m)`, so that
    with equal r and z = 0 the weights `K p_i / L_i` continue from those of the warm-up. With m = 1
    that value is `K log sum_i L_i / n_i`. If all losses scale by c, these weights scale by 1/c. A
    loss or a nadir of 0 (e.g. without labels for the task) gives weight 0.

    A NaN makes all weights NaN, as does a negative loss with a warm-up (during the warm-up only
    that task's weight); within the nadir window it persists.

    The weights are treated as constants in differentiation. For K = 1 the weight is r; with a
    warm-up, r/L after it.

    Attributes:
      mu: m; a small value approximates the maximum.
      weights: r, one per task; None means 1/K each.
      reference: z, the ideal f, one per task; None means 0 each.
      warmup: number of warm-up steps; 0 disables it.
      window: number of final warm-up steps over which the nadir is averaged.

    Raises:
      BadInput: for mu that is not positive, weights that are not a tuple of non-negative numbers or
        are all 0, a tuple whose length is not K, or a window longer than the warm-up.

    Reference: Lin et al., Smooth Tchebycheff Scalarization for Multi-Objective Optimization,
      ICML 2024 (https://arxiv.org/abs/2402.19078).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method = weighting.STCH(mu=0.2)
      >>> weights, _ = method.weigh_losses(jnp.array([1.0, 1.2]), method.init(2), jax.random.key(0))
      >>> [round(weight, 2) for weight in weights.tolist()]
      [0.19, 0.31]
    """

    mu: float = 1.0
    weights: tuple[float, ...] | None = None
    reference: tuple[float, ...] | None = None
    warmup: int = 0
    window: int = 1

    def __post_init__(self):
        require_number(self, mu=(0.0, float("inf")))
        require(self.mu > 0, self, "mu", "must be above 0", self.mu)
        require_weights(self, "weights")
        require_numbers(self, "reference")
        require_int(self, warmup=0, window=1)
        valid = self.window <= max(self.warmup, 1)
        require(valid, self, "window", "must be at most the warmup", self.window)

    def init(self, num_tasks: int) -> STCHState:
        """Initial state: no losses observed."""
        require_length(self, "weights", num_tasks)
        require_length(self, "reference", num_tasks)
        return STCHState(jnp.int32(0), jnp.zeros(num_tasks, float))

    def weigh_losses(
        self, losses: jax.Array, state: STCHState, key: jax.Array
    ) -> tuple[jax.Array, STCHState]:
        """Maps losses `[K]` to weights `[K]`."""
        chex.assert_shape(losses, state.total.shape)
        chex.assert_type(losses, float)
        losses = jax.lax.stop_gradient(losses)
        preference = per_task(self, "weights", losses, 1.0 / losses.size)
        ideal = per_task(self, "reference", losses, 0.0)
        if not self.warmup:
            return jax.grad(stch_value)(losses, preference, ideal, self.mu), state
        nadir = (state.total / self.window).astype(losses.dtype)
        after_warmup = log_ratio_weights(losses, nadir, losses.size * preference, ideal, self.mu)
        weights = jnp.where(state.step < self.warmup, log_derivative(losses), after_warmup)
        return weights, self.update_total(losses.astype(state.total.dtype), state)

    def update_total(self, losses: jax.Array, state: STCHState) -> STCHState:
        """The state updated with the losses of one more step."""
        in_window = (state.step >= self.warmup - self.window) & (state.step < self.warmup)
        # Capped at the warm-up's length, so that the counter cannot overflow in long runs.
        step = jnp.minimum(state.step + 1, self.warmup)
        return STCHState(step, state.total + jnp.where(in_window, losses, 0.0))


def log_ratio_weights(
    losses: jax.Array, nadir: jax.Array, preference: jax.Array, ideal: jax.Array, mu: float
) -> jax.Array:
    """Derivatives `[K]` of `K m log sum_i exp(s_i (log(L_i / n_i) - z_i) / m)`."""
    derivative = log_derivative(losses)
    mask = (derivative != 0) & (log_derivative(nadir) != 0)
    logs = jnp.log(jnp.where(mask, losses, 1.0)) - jnp.log(jnp.where(mask, nadir, 1.0))
    low = jnp.finfo(losses.dtype).min  # Not -inf, which gives NaN if all are excluded.
    p = jax.nn.softmax(jnp.where(mask, preference * (logs - ideal) / mu, low))
    return jnp.where(mask, losses.size * preference * p * derivative, 0.0)


def stch_value(
    losses: jax.Array, weights: jax.Array, reference: jax.Array, mu: float | jax.Array
) -> jax.Array:
    """The smooth maximum `m log sum_i exp(r_i (L_i - z_i) / m)`.

    It lies between the maximum of `r_i (L_i - z_i)` and that maximum plus `m log K`.

    Args:
      losses: L, `[K]`.
      weights: r, `[K]`.
      reference: z, `[K]`.
      mu: m, positive.

    Returns:
      A scalar `[]`.

    Raises:
      AssertionError: if a shape or dtype is wrong, at trace time.

    Reference: Lin et al., Smooth Tchebycheff Scalarization for Multi-Objective Optimization,
      ICML 2024 (https://arxiv.org/abs/2402.19078).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> losses, weights, reference = jnp.array([1.0, 3.0]), jnp.ones(2), jnp.zeros(2)
      >>> round(float(weighting.stch_value(losses, weights, reference, mu=1.0)), 3)
      3.127
    """
    chex.assert_rank(losses, 1)
    chex.assert_equal_shape([losses, weights, reference])
    chex.assert_type([losses, weights, reference], float)
    terms = weights * (losses - reference) / mu
    # A compiler may fuse a product with a subtraction, so that the largest term minus itself is its
    # rounding error, and the exponential of that is infinite. Scaling by a power of two is exact,
    # fused or not.
    largest = jax.lax.stop_gradient(jnp.abs(terms).max())
    scale = jnp.ldexp(jnp.ones_like(largest), jnp.frexp(jnp.maximum(largest, 1.0))[1])
    scaled = terms / scale
    maximum = jax.lax.stop_gradient(scaled.max())
    return mu * (scale * maximum + jnp.log(jnp.exp(scale * (scaled - maximum)).sum()))
