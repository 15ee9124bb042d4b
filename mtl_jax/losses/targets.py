"""Per-example losses of logits against probabilities, such as pseudo-labels."""

import jax
import jax.numpy as jnp


def soft_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Cross-entropy with soft labels, `-sum_c q_c log softmax(z)_c`, natural logarithm.

    Differentiable with respect to both arguments.

    Args:
      logits: floats `[..., C]`.
      targets: probabilities `[..., C]`.

    Returns:
      The loss `[...]`.

    Raises:
      ValueError: at trace time, if the shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> logits, targets = jnp.array([[2.0, 0.0]]), jnp.array([[0.5, 0.5]])
      >>> loss = losses.soft_cross_entropy(logits, targets)
      >>> [round(value, 2) for value in loss.tolist()]
      [1.13]
    """
    require_same_shape("soft_cross_entropy", logits, targets)
    return -(targets * jax.nn.log_softmax(logits)).sum(-1)


def kl_divergence(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """KL divergence `sum_c q_c (log q_c - log softmax(z)_c)`, natural logarithm; 0 log 0 is 0.

    Differentiable with respect to both arguments.

    Args:
      logits: floats `[..., C]`.
      targets: probabilities `[..., C]`.

    Returns:
      The divergence `[...]`.

    Raises:
      ValueError: at trace time, if the shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> logits, targets = jnp.zeros((2, 2)), jnp.array([[0.5, 0.5], [1.0, 0.0]])
      >>> loss = losses.kl_divergence(logits, targets)
      >>> [round(value, 2) for value in loss.tolist()]
      [0.0, 0.69]
    """
    return soft_cross_entropy(logits, targets) + jax.scipy.special.xlogy(targets, targets).sum(-1)


def probability_squared_error(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Brier score, averaged over classes: `1/C sum_c (softmax(z)_c - q_c)^2`.

    Differentiable with respect to both arguments.

    Args:
      logits: floats `[..., C]`.
      targets: probabilities `[..., C]`.

    Returns:
      The loss `[...]`.

    Raises:
      ValueError: at trace time, if the shapes differ.

    Reference: Berthelot et al., MixMatch, NeurIPS 2019, Eq. 4
      (https://arxiv.org/abs/1905.02249).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> losses.probability_squared_error(jnp.zeros((1, 2)), jnp.array([[1.0, 0.0]])).tolist()
      [0.25]
    """
    require_same_shape("probability_squared_error", logits, targets)
    return jnp.square(jax.nn.softmax(logits) - targets).mean(-1)


def require_same_shape(name: str, logits: jax.Array, targets: jax.Array) -> None:
    """Requires logits and probabilities of the same shape."""
    if logits.shape != targets.shape or logits.ndim == 0:
        raise ValueError(
            f"{name} needs logits [..., C] and targets [..., C], "
            f"not logits {logits.shape} and targets {targets.shape}"
        )
