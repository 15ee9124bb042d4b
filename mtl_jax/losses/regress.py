"""Per-example losses for continuous targets."""

import math

import jax
import jax.numpy as jnp
import optax

from mtl_jax.core.validation import require
from mtl_jax.losses.checks import match_targets


def squared_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Squared error, `1/D sum_d (f_d - y_d)^2`, per example.

    A missing target (NaN) gives a NaN loss and gradient even if the loss is masked, so the
    caller must replace it by a finite value first.

    Args:
      predictions: floats `[..., D]`.
      targets: continuous targets `[..., D]`, or `[...]` when D is 1.

    Returns:
      The loss `[...]`, with the dtype of `predictions`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> losses.squared_error(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 4.0]])).tolist()
      [2.5]
    """
    return jnp.square(residuals("squared_error", predictions, targets)).mean(-1)


def absolute_error(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Absolute error (L1), `1/D sum_d |f_d - y_d|`, per example; subgradient 0 at 0.

    Depth benchmarks average it over the pixels whose depth is known. Missing targets as in
    `squared_error`.

    Reference: Liu et al., CVPR 2019, equation 6 (https://arxiv.org/abs/1803.10704).

    Args:
      predictions: floats `[..., D]`.
      targets: continuous targets `[..., D]`, or `[...]` when D is 1.

    Returns:
      The loss `[...]`, with the dtype of `predictions`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> losses.absolute_error(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 4.0]])).tolist()
      [1.5]
    """
    return jnp.abs(residuals("absolute_error", predictions, targets)).mean(-1)


def huber_loss(predictions: jax.Array, targets: jax.Array, delta: float = 1.0) -> jax.Array:
    """Huber loss, `1/D sum_d h(f_d - y_d)`, per example.

    `h(r)` is `r^2 / 2` for `|r| <= delta` and `delta (|r| - delta / 2)` above. PyTorch's
    `smooth_l1_loss` with `beta = delta` is this loss divided by delta. Missing targets as in
    `squared_error`.

    Reference: Huber, Annals of Mathematical Statistics 1964 (https://doi.org/10.1214/aoms/1177703732).

    Args:
      predictions: floats `[..., D]`.
      targets: continuous targets `[..., D]`, or `[...]` when D is 1.
      delta: error at which the loss becomes linear, in units of the targets.

    Returns:
      The loss `[...]`, with the dtype of `predictions`.

    Raises:
      BadInput: if delta is not a positive number.
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> losses.huber_loss(jnp.array([[0.5], [3.0]]), jnp.zeros((2, 1))).tolist()
      [0.125, 2.5]
    """
    positive = math.isfinite(delta) and delta > 0
    require(positive, "huber_loss", "delta", "must be a positive number", delta)
    errors = residuals("huber_loss", predictions, targets)
    return optax.losses.huber_loss(errors, delta=delta).mean(-1)


def log_cosh(predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Logarithm of the hyperbolic cosine of the error, `1/D sum_d log cosh(f_d - y_d)`.

    Close to `r^2 / 2` for small and `|r| - log 2` for large errors. Missing targets as in
    `squared_error`.

    Args:
      predictions: floats `[..., D]`.
      targets: continuous targets `[..., D]`, or `[...]` when D is 1.

    Returns:
      The loss `[...]`, with the dtype of `predictions`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> round(float(losses.log_cosh(jnp.ones(1), jnp.zeros(1))), 4)
      0.4338
    """
    return optax.losses.log_cosh(residuals("log_cosh", predictions, targets)).mean(-1)


def residuals(name: str, predictions: jax.Array, targets: jax.Array) -> jax.Array:
    """Predictions minus targets `[..., D]`; targets may be `[...]` when D is 1."""
    predictions, targets = match_targets(name, "predictions", predictions, targets)
    return predictions - targets
