"""Nash-MTL: the Nash bargaining solution of the gradients, solved exactly."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import where_finite
from mtl_jax.core.balancing import GramWeighting
from mtl_jax.core.validation import require, require_int, require_number
from mtl_jax.solvers.convex import solve_alpha_fair
from mtl_jax.solvers.quadratic import matvec


class NashMTLState(NamedTuple):
    """The most recently solved weights, and the number of steps they have been used."""

    weights: jax.Array  # [K]
    steps: jax.Array  # [] int32, modulo `every`


@dataclasses.dataclass(frozen=True)
class NashMTL(GramWeighting):
    """The Nash bargaining solution: `Gw = 1/w`, `w > 0`.

    The combination maximizes the sum over tasks of `log <g_i, d>`, so it conflicts with no task.
    Its norm is `sqrt(K)` for any gradients; if all gradients are scaled by s, the weights scale by
    `1/s`, and the norms of single gradients do not matter.

    Differences from the reference code: the equation is solved to machine precision at every step,
    by Newton's method on the convex potential `w'Gw / 2 - sum log w`, where the code uses 20
    linearizations; and the combined gradient is clipped only if `max_norm` is set (the code always
    clips it to norm 1, which is always active at a norm of `sqrt(K)`).

    Degenerate gradients: a zero gradient gets weight 0 and the others bargain alone; if all are
    zero, 1/K each; opposed gradients have no finite solution, and a ridge of 32 epsilon times each
    squared norm gives large weights (about 500 divided by the norm in float32) that cancel; for K =
    1 the weight is `1 / ||g||`. A NaN or infinity in G makes all weights NaN. There is no gradient
    with respect to G. The reference also weights heads; here they keep their own gradients unless
    the run sets `heads="weighted"`.

    In float32 that ridge, 4e-6, equals `1 + cos` of two gradients about 0.003 radians from being
    opposed: there the norm of d is a quarter below `sqrt(K)` (4 % at 0.01 radians), and closer than
    that d tends to zero. A gradient whose squared norm is not a normal floating-point number (a
    norm below 1e-19, or below 1e-19 times the largest) is treated as zero.

    Attributes:
      max_norm: maximum norm of the combined gradient; None disables clipping. TorchJD and the
        reference code use 1.0 (and 0 for None).
      every: solve only at every `every`-th step and reuse the weights in between, on new gradients;
        a step that is not finite does not count. `update_weights_every` in TorchJD.

    Raises:
      BadInput: for a `max_norm` that is not positive, or an `every` below 1.

    Reference: Navon et al., Multi-Task Learning as a Bargaining Game, ICML 2022, Section 3.2
      and Algorithm 1 (https://arxiv.org/abs/2202.01017).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import aggregation
      >>> method, gram = aggregation.NashMTL(), jnp.array([[4.0, 0.0], [0.0, 1.0]])
      >>> weights, _ = method.weigh_gram(gram, (), jax.random.key(0))
      >>> [round(weight, 2) for weight in weights.tolist()]
      [0.5, 1.0]
    """

    max_norm: float | None = None
    every: int = 1

    def __post_init__(self):
        if self.max_norm is not None:
            require_number(self, max_norm=(0.0, math.inf))
            rule = "must be above 0, or None to leave the norm"
            require(self.max_norm > 0, self, "max_norm", rule, self.max_norm)
        require_int(self, every=1)

    def init(self, num_tasks: int) -> NashMTLState | tuple[()]:
        """Initial state; empty if every step solves."""
        if self.every == 1:
            return ()
        return NashMTLState(jnp.ones(num_tasks, float), jnp.int32(0))

    def weigh_gram(
        self, gram: jax.Array, state: NashMTLState | tuple[()], key: jax.Array
    ) -> tuple[jax.Array, NashMTLState | tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        gram = jax.lax.stop_gradient(gram)
        if self.every == 1:
            return self.clip(bargaining_solution(gram), gram), state
        assert isinstance(state, NashMTLState)
        previous = state.weights
        weights = jax.lax.cond(
            state.steps == 0,
            lambda: bargaining_solution(gram).astype(previous.dtype),
            lambda: previous,
        )
        finite = jnp.isfinite(gram).all()
        next_state = NashMTLState(weights, (state.steps + 1) % self.every)
        weights = jnp.where(finite, weights.astype(gram.dtype), jnp.nan)
        return self.clip(weights, gram), where_finite(finite, next_state, state)

    def clip(self, weights: jax.Array, gram: jax.Array) -> jax.Array:
        """The weights `[K]`, scaled down so that the combination's norm is at most `max_norm`."""
        if self.max_norm is None:
            return weights
        # In parts, since the squared norm of a large gradient may overflow.
        largest = jnp.sqrt(jnp.diagonal(gram).max())
        largest = jnp.where(largest > 0, largest, 1.0)
        unit = gram / largest / largest
        norm = largest * jnp.sqrt(jnp.maximum(jnp.vdot(weights, matvec(unit, weights)), 0.0))
        exceeds = norm > self.max_norm
        factor = self.max_norm / jnp.where(exceeds, norm, 1.0)
        return jnp.where(exceeds, weights * factor, weights)


def bargaining_solution(gram: jax.Array) -> jax.Array:
    """The Nash bargaining solution `[K]`."""
    return solve_alpha_fair(gram, 1.0, jnp.ones_like(gram[0]))
