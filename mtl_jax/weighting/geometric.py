"""The geometric mean of the losses, which does not care for their scales."""

import dataclasses

import chex
import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Geometric:
    """Weights of the geometric mean: `w_i = M / (K L_i)` with `M = (prod_i L_i)^(1/K)`.

    The direction of `LogSum` with a step that shrinks as the losses do. The weights do not
    change if all losses are scaled alike. M is computed by logarithms: the product itself
    overflows. The paper's M would be 0, and the step too, as soon as one loss is 0 (as of a
    batch without labels of the task); here such a task has weight 0 and is left out, also of K.
    A negative loss makes all weights NaN. The weights are constants to differentiation.

    Reference: Chennupati et al., MultiNet++: Multi-Stream Feature Aggregation and Geometric
      Loss Strategy for Multi-Task Learning, CVPR Workshops 2019
      (https://arxiv.org/abs/1904.08492).
    """

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]`."""
        return jax.grad(geometric_value)(jax.lax.stop_gradient(losses)), state


def geometric_value(losses: jax.Array) -> jax.Array:
    """The geometric mean `(prod_i L_i)^(1/K)` of the losses that are not 0.

    Args:
      losses: L, `[K]`.

    Returns:
      A scalar `[]`; 0 if all losses are 0, NaN if one is negative.

    Raises:
      AssertionError: for another shape or dtype, when traced.

    Reference: Chennupati et al., MultiNet++, CVPR Workshops 2019
      (https://arxiv.org/abs/1904.08492).
    """
    chex.assert_rank(losses, 1)
    chex.assert_type(losses, float)
    there = ~(jnp.abs(losses) < jnp.finfo(losses.dtype).tiny)
    logs = jnp.log(jnp.where(there, losses, 1.0))
    mean = jnp.exp(logs.sum() / jnp.maximum(there.sum(dtype=losses.dtype), 1.0))
    return jnp.where(there.any(), mean, 0.0)
