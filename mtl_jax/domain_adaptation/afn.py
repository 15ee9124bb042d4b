"""Adaptive feature norm: features of both domains grow step by step, so that they transfer."""

import jax
import jax.numpy as jnp

from mtl_jax.domain_adaptation.validation import require_floats


def feature_norm_step(features: jax.Array, *, step: float = 1.0) -> jax.Array:
    """Pulls each feature vector to be longer by a step, `(|f| - stop(|f|) - step)^2`.

    The value is always `step^2`, only the gradient says something: `-2 step f / |f|`. A zero
    vector has no direction and gets gradient 0. It is added for the source and for the target.

    Args:
      features: f, `[..., D]`.
      step: how much longer.

    Returns:
      The loss `[...]`.

    Raises:
      ValueError: if they are no floats `[..., D]`, when traced.

    Reference: Xu et al., Larger Norm More Transferable: An Adaptive Feature Norm Approach for
      Unsupervised Domain Adaptation, ICCV 2019, stepwise adaptive feature norm
      (https://arxiv.org/abs/1811.07456).
    """
    require_vectors("feature_norm_step", features)
    lengths = length(features)
    return jnp.square(lengths - jax.lax.stop_gradient(lengths) - step)


def feature_norm_radius(features: jax.Array, *, radius: float = 25.0) -> jax.Array:
    """Pulls the mean length of feature vectors to a radius, `(mean_i |f_i| - R)^2`.

    It is added for the source and for the target. A zero vector gets gradient 0.

    Args:
      features: f, `[N, D]`.
      radius: R; 25 in the authors' code.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if they are no floats `[..., D]`, when traced.

    Reference: Xu et al., Larger Norm More Transferable: An Adaptive Feature Norm Approach for
      Unsupervised Domain Adaptation, ICCV 2019, hard adaptive feature norm
      (https://arxiv.org/abs/1811.07456).
    """
    require_vectors("feature_norm_radius", features)
    return jnp.square(length(features).mean() - radius)


def length_preserving_dropout(
    key: jax.Array, features: jax.Array, *, rate: float = 0.5
) -> jax.Array:
    """Dropout that keeps the mean of `|f|^2`, `f m / sqrt(1 - rate)`, `m ~ Bernoulli(1 - rate)`.

    The usual one divides by `1 - rate` and keeps the mean of f, with longer vectors. Only for
    training; in evaluation features stay as they are.

    Args:
      key: of the mask.
      features: f, `[..., D]`.
      rate: how often an entry is dropped, from 0 to below 1.

    Returns:
      The features `[..., D]`.

    Raises:
      ValueError: for another rate, or if they are no floats `[..., D]`, when traced.

    Reference: Xu et al., Larger Norm More Transferable: An Adaptive Feature Norm Approach for
      Unsupervised Domain Adaptation, ICCV 2019, implementation
      (https://arxiv.org/abs/1811.07456).
    """
    require_vectors("length_preserving_dropout", features)
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"length_preserving_dropout needs a rate from 0 to below 1, not {rate!r}")
    kept = jax.random.bernoulli(key, 1.0 - rate, features.shape)
    return jnp.where(kept, features / (1.0 - rate) ** 0.5, 0.0)


def length(features: jax.Array) -> jax.Array:
    """`|f|` over the last axis, with gradient 0 at 0."""
    squares = jnp.square(features).sum(-1)
    there = squares != 0  # True of NaN, which must not be hidden.
    return jnp.where(there, jnp.sqrt(jnp.where(there, squares, 1.0)), 0.0)


def require_vectors(name: str, features: jax.Array) -> None:
    """Requires floats `[..., D]`."""
    require_floats(name, features)
    if features.ndim == 0:
        raise ValueError(f"{name} needs features [..., D], not a scalar")
