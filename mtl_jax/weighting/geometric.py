"""Geometric-mean weighting: weights that are invariant to the scales of the losses."""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from mtl_jax.core.balancing import LossWeighting


@dataclasses.dataclass(frozen=True)
class Geometric(LossWeighting):
    """Weights of the geometric mean: `w_i = M / (K L_i)` with `M = (prod_i L_i)^(1/K)`.

    The direction of `LogSum` with a step size that decreases with the losses. The weights do not
    change if all losses are scaled by the same factor. M is computed in log space, since the
    product itself overflows. In the paper M and the update would be 0 as soon as one loss is 0
    (e.g. a batch without labels for the task); here such a task has weight 0 and is excluded, also
    from K. A negative loss makes all weights NaN. The weights are treated as constants in
    differentiation.

    Reference: Chennupati et al., MultiNet++: Multi-Stream Feature Aggregation and Geometric
      Loss Strategy for Multi-Task Learning, CVPR Workshops 2019
      (https://arxiv.org/abs/1904.08492).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> method, losses = weighting.Geometric(), jnp.array([1.0, 4.0])
      >>> weights, _ = method.weigh_losses(losses, (), jax.random.key(0))
      >>> [round(weight, 2) for weight in weights.tolist()]
      [1.0, 0.25]
    """

    def weigh_losses(
        self, losses: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps losses `[K]` to weights `[K]`."""
        return jax.grad(geometric_value)(jax.lax.stop_gradient(losses)), state


def geometric_value(losses: jax.Array) -> jax.Array:
    """Geometric mean `(prod_i L_i)^(1/K)` of the losses that are not 0.

    Args:
      losses: L, `[K]`.

    Returns:
      A scalar `[]`; 0 if all losses are 0, NaN if one is negative.

    Raises:
      AssertionError: if a shape or dtype is wrong, at trace time.

    Reference: Chennupati et al., MultiNet++, CVPR Workshops 2019
      (https://arxiv.org/abs/1904.08492).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import weighting
      >>> round(float(weighting.geometric_value(jnp.array([1.0, 4.0]))), 3)
      2.0
    """
    chex.assert_rank(losses, 1)
    chex.assert_type(losses, float)
    nonzero = ~(jnp.abs(losses) < jnp.finfo(losses.dtype).tiny)
    logs = jnp.log(jnp.where(nonzero, losses, 1.0))
    mean = jnp.exp(logs.sum() / jnp.maximum(nonzero.sum(dtype=losses.dtype), 1.0))
    return jnp.where(nonzero.any(), mean, 0.0)
