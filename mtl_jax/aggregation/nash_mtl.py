"""Nash-MTL: the gradients' bargaining solution, solved exactly."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import keep
from mtl_jax.core.validation import require, require_count, require_number
from mtl_jax.solvers.convex import fair_point
from mtl_jax.solvers.quadratic import product


class NashMTLState(NamedTuple):
    """The weights that were solved for last, and for how many steps they have been taken."""

    weights: jax.Array  # [K]
    steps: jax.Array  # [] int32, modulo `every`


@dataclasses.dataclass(frozen=True)
class NashMTL:
    """The Nash bargaining solution: `Gw = 1/w`, `w > 0`.

    The combination maximises the sum over the tasks of the logarithm of `<g_i, d>`, so it
    conflicts with no task. Its length is `sqrt(K)` whatever the gradients; if all of them are
    scaled by s, the weights are by `1/s`, and lengths of single gradients do not matter.

    Departures from the reference code: the equation is solved to rounding at every step, by
    Newton's method on the convex potential `w'Gw / 2 - sum log w`, where the code linearises it
    20 times; and the combined gradient is not clipped to norm 1 unless `max_norm` says so
    (there it is, and at a norm of `sqrt(K)` that always acts).

    Degenerate gradients: a zero one gets weight 0 and the others bargain alone; all zero, 1/K
    each; opposed ones have no finite solution, and a ridge of 32 epsilon times each squared
    length gives large weights (about 500 over the length in float32) that cancel; for K = 1 the
    weight is `1 / ||g||`. A NaN or an infinity in G makes all weights NaN. No gradient flows
    into G. The reference weighs heads too; here they keep their own gradient unless the run
    says `heads="weighted"`.

    In float32 that ridge, 4e-6, is as much as `1 + cos` of two gradients about 0.003 radians
    from opposed: there d is a quarter shorter than `sqrt(K)` (at 0.01 radians by 4 %), and nearer
    to it d goes to zero. A gradient whose square is no normal number (a length below 1e-19, or
    1e-19 of the longest one) counts as zero.

    Attributes:
      max_norm: the combined gradient is made no longer than this; None leaves it. TorchJD and the
        reference code take 1.0 (and 0 for None).
      every: solves only at each `every`-th step, and takes the same weights in between, on new
        gradients; a step that is not finite does not count. `update_weights_every` in TorchJD.

    Raises:
      BadInput: for a `max_norm` that is not positive, or an `every` below 1.

    Reference: Navon et al., Multi-Task Learning as a Bargaining Game, ICML 2022, Section 3.2
      and Algorithm 1 (https://arxiv.org/abs/2202.01017).
    """

    max_norm: float | None = None
    every: int = 1

    def __post_init__(self):
        if self.max_norm is not None:
            require_number(self, max_norm=(0.0, math.inf))
            rule = "must be above 0, or None to leave the norm"
            require(self.max_norm > 0, self, "max_norm", rule, self.max_norm)
        require_count(self, every=1)

    def init(self, num_tasks: int) -> NashMTLState | tuple[()]:
        """State before the first step; none if every step solves."""
        if self.every == 1:
            return ()
        return NashMTLState(jnp.ones(num_tasks, float), jnp.int32(0))

    def weigh_gram(
        self, gram: jax.Array, state: NashMTLState | tuple[()], key: jax.Array
    ) -> tuple[jax.Array, NashMTLState | tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        gram = jax.lax.stop_gradient(gram)
        if self.every == 1:
            return self.clipped(bargain(gram), gram), state
        weights = jax.lax.cond(
            state.steps == 0,
            lambda: bargain(gram).astype(state.weights.dtype),
            lambda: state.weights,
        )
        finite = jnp.isfinite(gram).all()
        taken = jnp.where(finite, weights.astype(gram.dtype), jnp.nan)
        after = NashMTLState(weights, (state.steps + 1) % self.every)
        return self.clipped(taken, gram), keep(finite, after, state)

    def clipped(self, weights: jax.Array, gram: jax.Array) -> jax.Array:
        """The weights `[K]`, shortened until what they combine is no longer than `max_norm`."""
        if self.max_norm is None:
            return weights
        # By parts, as the square of a long gradient's norm may overflow.
        largest = jnp.sqrt(jnp.diagonal(gram).max())
        largest = jnp.where(largest > 0, largest, 1.0)
        unit = gram / largest / largest
        norm = largest * jnp.sqrt(jnp.maximum(jnp.vdot(weights, product(unit, weights)), 0.0))
        over = norm > self.max_norm
        return jnp.where(over, weights * (self.max_norm / jnp.where(over, norm, 1.0)), weights)


def bargain(gram: jax.Array) -> jax.Array:
    """The bargaining solution `[K]`."""
    return fair_point(gram, 1.0, jnp.ones_like(gram[0]))
