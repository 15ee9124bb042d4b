"""Checks of outputs and targets that losses share."""

import math

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require


def match_targets(
    name: str, kind: str, outputs: jax.Array, targets: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Outputs, and targets of their dtype, `[..., D]`; targets may be `[...]` when D is 1.

    Args:
      name: the loss, for the error.
      kind: its word for outputs, such as "logits".
      outputs: floats `[..., D]`.
      targets: `[..., D]` or `[...]`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.
    """
    outputs, targets = jnp.asarray(outputs), jnp.asarray(targets)
    if not jnp.issubdtype(outputs.dtype, jnp.floating):
        raise ValueError(f"{name} needs floats as {kind}, not {outputs.dtype}")
    single = outputs.ndim > 0 and outputs.shape[-1] == 1
    if single and targets.shape == outputs.shape[:-1]:
        targets = targets[..., None]
    if outputs.ndim == 0 or targets.shape != outputs.shape:
        raise ValueError(
            f"{name} needs {kind} [..., D] and targets [..., D], or [...] when D is 1, "
            f"not {kind} {outputs.shape} and targets {targets.shape}"
        )
    return outputs, targets.astype(outputs.dtype)


def require_labels(name: str, logits: jax.Array, labels: jax.Array) -> None:
    """Requires floats `[..., C]` as logits and integers `[...]` as labels.

    Raises:
      ValueError: at trace time, naming the loss, if shapes or dtypes do not match.
    """
    if logits.ndim == 0 or labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"{name} needs logits [..., C] and labels [...], "
            f"not logits {logits.shape} and labels {labels.shape}"
        )
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise ValueError(f"{name} needs floats as logits, not {logits.dtype}")
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"{name} needs integers as labels, not {labels.dtype}")


def require_gamma(name: str, gamma: float) -> None:
    """Requires the exponent of a focal loss to be a finite number of at least 0."""
    valid = math.isfinite(gamma) and gamma >= 0
    require(valid, name, "gamma", "must be at least 0", gamma)
