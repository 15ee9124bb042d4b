"""STCH: a smooth maximum of the losses."""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require, require_count, require_number
from mtl_jax.weighting.log_sum import log_slope
from mtl_jax.weighting.per_task import per_task, require_fit, require_numbers, require_shares


class STCHState(NamedTuple):
    """The steps so far, and the losses at the end of the warm-up."""

    step: jax.Array  # []
    total: jax.Array  # [K]


@dataclasses.dataclass(frozen=True)
class STCH:
    """Smooth Tchebycheff scalarization: the derivatives of `m log sum_i exp(r_i (f_i - z_i) / m)`.

    Without a warm-up `f_i = L_i` and `w_i = r_i p_i`, `p = softmax(r (L - z) / m)`: the largest
    loss decides, so the losses must be of one scale. The weights do not change if L, z and m
    scale alike.

    With a warm-up, as in the authors' code, the first `warmup` steps have the weights of
    `LogSum`. The mean losses of the last `window` of them become the nadir n. From then on
    `f_i = log(L_i / n_i)`, and the value is `K m log sum_i exp(K r_i (f_i - z_i) / m)`, so that
    with equal r and z = 0 the weights `K p_i / L_i` go on where the warm-up ends. With m = 1
    that value is `K log sum_i L_i / n_i`. If all losses scale by c, these weights scale by 1/c.
    A loss or a nadir of 0 (as without labels of the task) gives weight 0.

    A NaN makes all weights NaN, and so does a negative loss with a warm-up (in the warm-up that
    task's weight); in the window of the nadir it stays for good.

    The weights are constants to differentiation. K = 1: r, and with a warm-up r/L after it.

    Attributes:
      mu: m; a small one comes near the maximum.
      weights: r, one for each task; None is 1/K each.
      reference: z, the ideal f, one for each task; None is 0 each.
      warmup: steps; 0 is none.
      window: the last steps of the warm-up, over which the nadir is averaged.

    Raises:
      BadInput: for mu not above 0, weights that are no tuple of numbers of at least 0 or are all
        0, a tuple that has not K numbers, or a window longer than the warm-up.

    Reference: Lin et al., Smooth Tchebycheff Scalarization for Multi-Objective Optimization,
      ICML 2024 (https://arxiv.org/abs/2402.19078).
    """

    mu: float = 1.0
    weights: tuple[float, ...] | None = None
    reference: tuple[float, ...] | None = None
    warmup: int = 0
    window: int = 1

    def __post_init__(self):
        require_number(self, mu=(0.0, float("inf")))
        require(self.mu > 0, self, "mu", "must be above 0", self.mu)
        require_shares(self, "weights")
        require_numbers(self, "reference")
        require_count(self, warmup=0, window=1)
        fits = self.window <= max(self.warmup, 1)
        require(fits, self, "window", "must be at most the warmup", self.window)

    def init(self, num_tasks: int) -> STCHState:
        """State before the first step: no losses yet."""
        require_fit(self, "weights", num_tasks)
        require_fit(self, "reference", num_tasks)
        return STCHState(jnp.int32(0), jnp.zeros(num_tasks, float))

    def weigh_losses(
        self, losses: jax.Array, state: STCHState, key: jax.Array
    ) -> tuple[jax.Array, STCHState]:
        """Maps losses `[K]` to weights `[K]`."""
        chex.assert_shape(losses, state.total.shape)
        chex.assert_type(losses, float)
        losses = jax.lax.stop_gradient(losses)
        share = per_task(self, "weights", losses, 1.0 / losses.size)
        ideal = per_task(self, "reference", losses, 0.0)
        if not self.warmup:
            return jax.grad(stch_value)(losses, share, ideal, self.mu), state
        nadir = (state.total / self.window).astype(losses.dtype)
        later = slope_of_logs(losses, nadir, losses.size * share, ideal, self.mu)
        weights = jnp.where(state.step < self.warmup, log_slope(losses), later)
        return weights, self.counted(losses.astype(state.total.dtype), state)

    def counted(self, losses: jax.Array, state: STCHState) -> STCHState:
        """The state after one more step."""
        late = (state.step >= self.warmup - self.window) & (state.step < self.warmup)
        # Stays at the warm-up's length, so that no run is too long for the counter.
        step = jnp.minimum(state.step + 1, self.warmup)
        return STCHState(step, state.total + jnp.where(late, losses, 0.0))


def slope_of_logs(
    losses: jax.Array, nadir: jax.Array, share: jax.Array, ideal: jax.Array, mu: float
) -> jax.Array:
    """Derivatives `[K]` of `K m log sum_i exp(s_i (log(L_i / n_i) - z_i) / m)`."""
    slope, there = log_slope(losses), (log_slope(losses) != 0) & (log_slope(nadir) != 0)
    logs = jnp.log(jnp.where(there, losses, 1.0)) - jnp.log(jnp.where(there, nadir, 1.0))
    low = jnp.finfo(losses.dtype).min  # Not -inf, which is NaN if all are left out.
    largest = jax.nn.softmax(jnp.where(there, share * (logs - ideal) / mu, low))
    return jnp.where(there, losses.size * share * largest * slope, 0.0)


def stch_value(
    losses: jax.Array, weights: jax.Array, reference: jax.Array, mu: float | jax.Array
) -> jax.Array:
    """The smooth maximum `m log sum_i exp(r_i (L_i - z_i) / m)`.

    It lies between the maximum of `r_i (L_i - z_i)` and `m log K` above it.

    Args:
      losses: L, `[K]`.
      weights: r, `[K]`.
      reference: z, `[K]`.
      mu: m, above 0.

    Returns:
      A scalar `[]`.

    Raises:
      AssertionError: for another shape or dtype, when traced.

    Reference: Lin et al., Smooth Tchebycheff Scalarization for Multi-Objective Optimization,
      ICML 2024 (https://arxiv.org/abs/2402.19078).
    """
    chex.assert_rank(losses, 1)
    chex.assert_equal_shape([losses, weights, reference])
    chex.assert_type([losses, weights, reference], float)
    terms = weights * (losses - reference) / mu
    # A compiler may fuse a product with a difference, so that the largest term less itself is
    # its rounding error, and the exponential of that is infinite. To scale by a power of two is
    # exact, fused or not.
    largest = jax.lax.stop_gradient(jnp.abs(terms).max())
    size = jnp.ldexp(jnp.ones_like(largest), jnp.frexp(jnp.maximum(largest, 1.0))[1])
    ratios = terms / size
    top = jax.lax.stop_gradient(ratios.max())
    return mu * (size * top + jnp.log(jnp.exp(size * (ratios - top)).sum()))
