"""Connectionist temporal classification."""

import jax
import jax.numpy as jnp
import optax


def ctc_loss(
    logits: jax.Array, labels: jax.Array, logit_lengths: jax.Array | None = None, blank: int = 0
) -> jax.Array:
    """Negative log-probability of a label sequence, over all its alignments; natural logarithm.

    PyTorch's mean reduction divides each loss by the length of its labels first; this is the loss
    itself. A sequence that is too short for its labels has a loss of about 1e5, as in optax, whose
    function this is.

    Reference: Graves et al., ICML 2006, equation 8 (https://doi.org/10.1145/1143844.1143891).

    Args:
      logits: floats `[B, T, C]`.
      labels: integers `[B, L]`, padded at the end with negative values.
      logit_lengths: number of valid time steps, integers `[B]`; None for T.
      blank: index of the blank class.

    Returns:
      The loss `[B]`, with the dtype of `logits`.

    Raises:
      ValueError: at trace time, if shapes or dtypes do not match.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> loss = losses.ctc_loss(jnp.zeros((1, 2, 2)), jnp.array([[1, -1]]))
      >>> round(float(loss[0]), 4)  # -log 3/4: three of four paths
      0.2877
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    fits = logits.ndim == 3 and labels.ndim == 2 and len(logits) == len(labels)
    if not fits or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"ctc_loss needs logits [B, T, C] and integer labels [B, L], not logits "
            f"{logits.shape} and labels {labels.dtype}{labels.shape}"
        )
    missing = labels < 0
    times = jnp.arange(logits.shape[1])
    lengths = jnp.full(len(logits), logits.shape[1]) if logit_lengths is None else logit_lengths
    padded = (times[None] >= lengths[:, None]).astype(logits.dtype)
    unpadded = jnp.where(missing, blank, labels)
    padding = missing.astype(logits.dtype)
    with jax.numpy_dtype_promotion("standard"):  # Which optax relies on.
        return optax.losses.ctc_loss(logits, padded, unpadded, padding, blank_id=blank)
