"""Bi-Tuning: contrast examples with those of other classes, at the classifier and beside it."""

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import unit, wide
from mtl_jax.core.validation import require
from mtl_jax.transfer.class_queues import ClassQueues

# Both losses are added to the cross-entropy, weighted by 1. Keys come from the net with averaged
# parameters (momentum 0.999 a step), on another view of the same images; they are put into the
# queues after the losses.


def with_bias(features: jax.Array) -> jax.Array:
    """Features and a 1 for the bias, of length 1: `[h; 1] / ||[h; 1]||`, the keys of `cce`.

    Args:
      features: `[..., D]`.

    Returns:
      `[..., D + 1]`.
    """
    return unit(jnp.concatenate([features, jnp.ones_like(features[..., :1])], -1))


def cce(
    features: jax.Array,
    labels: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
    queues: ClassQueues,
    temperature: float = 0.07,
) -> jax.Array:
    """Contrastive cross-entropy: the row of a class finds its examples among all keys.

    `-mean_{h in P} log(exp(w_y h / T) / sum_{h in P, N} exp(w_y h / T))`, per example, natural
    logarithm. Each h is `with_bias`, w_y is `[W_y; b_y]` of length 1; P holds the example itself
    and the keys of its class, N those of the others. Only keys that were seen count. The
    least value is log |P|.

    Gradients flow into `features`, `kernel` and `bias`, none into the queues. TLLib holds the
    head fixed here: `jax.lax.stop_gradient` does that. A label outside 0..C-1 gives NaN, so a
    caller with missing labels (-1) puts any class in their place and masks the loss.

    Args:
      features: what the head reads, floats `[B, D]`.
      labels: whole numbers `[B]`.
      kernel: of the head, W, `[D, C]`.
      bias: of the head, b, `[C]`.
      queues: of keys `with_bias`, `[C, M, D + 1]`.
      temperature: T.

    Returns:
      The loss `[B]`.

    Raises:
      ValueError: if shapes do not fit, when traced.
      BadInput: if T is not above 0.

    Reference: Zhong et al., Bi-tuning of Pre-trained Representations, 2020, the section on the
      classifier head (https://arxiv.org/abs/2011.06182).
    """
    size, count = kernel.shape
    require_shapes("cce", features, labels, queues, (count, size + 1))
    own = with_bias(wide(features))
    weights = unit(jnp.concatenate([kernel, bias[None]]).T.astype(own.dtype))
    chosen = weights[jnp.where(known(labels, count), labels, 0)]
    loss = contrast("cce", chosen, own, labels, queues, temperature)
    return loss.astype(features.dtype)


def ccl(
    embeddings: jax.Array,
    keys: jax.Array,
    labels: jax.Array,
    queues: ClassQueues,
    temperature: float = 0.07,
) -> jax.Array:
    """Categorical contrastive learning: an example finds its class among all keys.

    `-mean_{k in P} log(exp(z k / T) / sum_{k in P, N} exp(z k / T))`, per example, natural
    logarithm, z and k of length 1; P holds the example's own key and those of its class, N
    those of the others. Only keys that were seen count. The least value is log |P|.

    Gradients flow into `embeddings`, none into keys or queues. A label outside 0..C-1 gives
    NaN, as in `cce`.

    Args:
      embeddings: of the projector, floats `[B, E]`, of any length (128 numbers in the paper).
      keys: of the same images and the averaged net, `[B, E]`, of any length.
      labels: whole numbers `[B]`.
      queues: of keys of length 1, `[C, M, E]`.
      temperature: T.

    Returns:
      The loss `[B]`.

    Raises:
      ValueError: if shapes do not fit, when traced.
      BadInput: if T is not above 0.

    Reference: Zhong et al., Bi-tuning of Pre-trained Representations, 2020, the section on the
      projector head (https://arxiv.org/abs/2011.06182).
    """
    require_shapes("ccl", embeddings, labels, queues, (len(queues.keys), embeddings.shape[-1]))
    if keys.shape != embeddings.shape:
        raise ValueError(f"ccl needs keys of the shape {embeddings.shape}, not {keys.shape}")
    queries = unit(wide(embeddings))
    own = jax.lax.stop_gradient(unit(keys.astype(queries.dtype)))
    return contrast("ccl", queries, own, labels, queues, temperature).astype(embeddings.dtype)


def contrast(
    name: str,
    queries: jax.Array,
    own: jax.Array,
    labels: jax.Array,
    queues: ClassQueues,
    temperature: float,
) -> jax.Array:
    """The loss `[B]` of queries `[B, D]` that look for `own` `[B, D]` and keys of their class."""
    require(temperature > 0, name, "temperature", "must be above 0", temperature)
    stored = jax.lax.stop_gradient(queues.keys.astype(queries.dtype))
    first = (queries * own).sum(-1, keepdims=True)
    others = jnp.einsum("bd,cmd->bcm", queries, stored, precision="highest")
    # A finite number in the place of what is not there: -inf times 0 is NaN.
    low = jnp.finfo(queries.dtype).min
    others = jnp.where(queues.there[None], others / temperature, low).reshape(len(queries), -1)
    scores = jax.nn.log_softmax(jnp.concatenate([first / temperature, others], -1))
    classes = jnp.arange(len(stored), dtype=jnp.int32)[None, :, None]
    mine = jnp.asarray(labels).astype(jnp.int32)[:, None, None] == classes
    positive = mine & queues.there[None]
    positive = positive.reshape(len(queries), -1)
    total = scores[:, 0] + jnp.where(positive, scores[:, 1:], 0.0).sum(-1)
    loss = -total / (1.0 + positive.sum(-1, dtype=total.dtype))
    return jnp.where(known(labels, len(stored)), loss, jnp.nan)


def known(labels: jax.Array, count: int) -> jax.Array:
    """Which labels are classes, bool `[B]`."""
    return (labels >= 0) & (labels < count)


def require_shapes(
    name: str, vectors: jax.Array, labels: jax.Array, queues: ClassQueues, ends: tuple[int, int]
) -> None:
    """Requires vectors and labels of one batch, and queues `[C, M, D]` of given C and D."""
    count, _, size = queues.keys.shape
    if vectors.ndim != 2 or labels.shape != vectors.shape[:1] or (count, size) != ends:
        raise ValueError(
            f"{name} needs vectors [B, D], labels [B] and queues [{ends[0]}, M, {ends[1]}], "
            f"not {vectors.shape}, {labels.shape} and {queues.keys.shape}"
        )
