"""Loss of surface normals."""

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import unit


def cosine_distance(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """`1 - <f, y> / (|f| |y|)`, per example or pixel, for directions of any length.

    NYUv2's loss of surface normals, averaged over the pixels with a target. If a vector is 0, the
    distance is 1 without a gradient; benchmarks mark a missing normal so, which the caller must
    mask.

    Reference: Liu et al., CVPR 2019, equation 7 (https://arxiv.org/abs/1803.10704).

    Args:
      predictions: floats `[..., D]`.
      targets: floats `[..., D]`.

    Returns:
      The distance `[...]` in [0, 2], with the dtype of `predictions`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> losses.cosine_distance(jnp.array([[2.0, 0.0]]), jnp.array([[0.0, 1.0]])).tolist()
      [1.0]
    """
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    floats = all(jnp.issubdtype(a.dtype, jnp.floating) for a in (predictions, targets))
    if predictions.ndim == 0 or predictions.shape != targets.shape or not floats:
        raise ValueError(
            f"cosine_distance needs predictions and targets of floats [..., D], not predictions "
            f"{predictions.dtype} {predictions.shape} and targets {targets.dtype} {targets.shape}"
        )
    return 1.0 - (unit(predictions) * unit(targets.astype(predictions.dtype))).sum(-1)
