"""Losses of Bi-Tuning: contrastive losses of the classifier head and of the projector head."""

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import promote_float32, unit
from mtl_jax.core.validation import require
from mtl_jax.transfer.class_queues import ClassQueues, require_shapes

# Both losses are added to the cross-entropy with weight 1. Keys come from the model with averaged
# parameters (momentum 0.999 per step), on another view of the same images; they are enqueued after
# the losses.


def append_bias(features: jax.Array) -> jax.Array:
    """Appends a 1 for the bias and normalizes: `[h; 1] / ||[h; 1]||`, the keys of `cce`.

    Args:
      features: `[..., D]`.

    Returns:
      `[..., D + 1]`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> keys = transfer.append_bias(jnp.array([[0.0, 0.0], [2.0, 2.0]]))
      >>> [[round(entry, 3) for entry in key] for key in keys.tolist()]
      [[0.0, 0.0, 1.0], [0.667, 0.667, 0.333]]
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
    """Contrastive cross-entropy of the classifier head, with class weights as the queries.

    `-mean_{h in P} log(exp(w_y h / T) / sum_{h in P, N} exp(w_y h / T))`, per example, natural
    logarithm. Each h is `append_bias`, w_y is `[W_y; b_y]` normalized to norm 1; P contains the
    example itself and the keys of its class, N the keys of the other classes. Unfilled queue
    entries are ignored. The minimum is log |P|.

    Gradients with respect to `features`, `kernel` and `bias`, none with respect to the queues.
    TLLib holds the head fixed here, which `jax.lax.stop_gradient` achieves. A label outside 0..C-1
    gives NaN, so a caller with missing labels (-1) replaces them by any class and masks the loss.

    Args:
      features: inputs of the head, floats `[B, D]`.
      labels: integers `[B]`.
      kernel: kernel of the head, W, `[D, C]`.
      bias: bias of the head, b, `[C]`.
      queues: queues of keys `append_bias`, `[C, M, D + 1]`.
      temperature: the temperature T.

    Returns:
      The loss `[B]`.

    Raises:
      ValueError: if shapes do not match (when traced).
      BadInput: if T is not positive.

    Reference: Zhong et al., Bi-tuning of Pre-trained Representations, 2020, the section on the
      classifier head (https://arxiv.org/abs/2011.06182).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.transfer import append_bias, cce, empty_queues, enqueue
      >>> features, labels, (kernel, bias) = jnp.eye(2), jnp.arange(2), (jnp.eye(2), jnp.zeros(2))
      >>> queues = enqueue(empty_queues(2, 4, 3), append_bias(features), labels)
      >>> loss = jax.jit(cce)(features, labels, kernel, bias, queues)
      >>> [round(value, 3) for value in loss.tolist()]  # log 2: the key and one in the queue
      [0.693, 0.693]
    """
    size, count = kernel.shape
    require_shapes("cce", features, labels, queues, (count, size + 1))
    keys = append_bias(promote_float32(features))
    weights = unit(jnp.concatenate([kernel, bias[None]]).T.astype(keys.dtype))
    queries = weights[jnp.where(is_valid_class(labels, count), labels, 0)]
    loss = contrastive_loss("cce", queries, keys, labels, queues, temperature)
    return loss.astype(features.dtype)


def ccl(
    embeddings: jax.Array,
    keys: jax.Array,
    labels: jax.Array,
    queues: ClassQueues,
    temperature: float = 0.07,
) -> jax.Array:
    """Categorical contrastive learning: attracts embeddings to the keys of their class.

    `-mean_{k in P} log(exp(z k / T) / sum_{k in P, N} exp(z k / T))`, per example, natural
    logarithm, z and k normalized to norm 1; P contains the example's own key and the keys of its
    class, N the keys of the other classes. Unfilled queue entries are ignored. The minimum is log
    |P|.

    Gradients with respect to `embeddings`, none with respect to keys or queues. A label outside
    0..C-1 gives NaN, as in `cce`.

    Args:
      embeddings: outputs of the projector, floats `[B, E]`, of any norm (E is 128 in the paper).
      keys: embeddings of the same images by the averaged model, `[B, E]`, of any norm.
      labels: integers `[B]`.
      queues: queues of keys of norm 1, `[C, M, E]`.
      temperature: the temperature T.

    Returns:
      The loss `[B]`.

    Raises:
      ValueError: if shapes do not match (when traced).
      BadInput: if T is not positive.

    Reference: Zhong et al., Bi-tuning of Pre-trained Representations, 2020, the section on the
      projector head (https://arxiv.org/abs/2011.06182).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.transfer import ccl, empty_queues, enqueue
      >>> embeddings, labels = jnp.eye(2), jnp.arange(2)
      >>> queues = enqueue(empty_queues(num_classes=2, length=4, size=2), embeddings, labels)
      >>> loss = jax.jit(ccl)(embeddings, embeddings, labels, queues)
      >>> [round(value, 3) for value in loss.tolist()]  # log 2: the key and one in the queue
      [0.693, 0.693]
    """
    require_shapes("ccl", embeddings, labels, queues, (len(queues.keys), embeddings.shape[-1]))
    if keys.shape != embeddings.shape:
        raise ValueError(f"ccl needs keys of the shape {embeddings.shape}, not {keys.shape}")
    queries = unit(promote_float32(embeddings))
    keys = jax.lax.stop_gradient(unit(keys.astype(queries.dtype)))
    loss = contrastive_loss("ccl", queries, keys, labels, queues, temperature)
    return loss.astype(embeddings.dtype)


def contrastive_loss(
    name: str,
    queries: jax.Array,
    keys: jax.Array,
    labels: jax.Array,
    queues: ClassQueues,
    temperature: float,
) -> jax.Array:
    """Loss `[B]` of queries `[B, D]`, whose positives are `keys` and the queue of their class."""
    require(temperature > 0, name, "temperature", "must be above 0", temperature)
    queued = jax.lax.stop_gradient(queues.keys.astype(queries.dtype))
    own_logits = (queries * keys).sum(-1, keepdims=True)
    logits = jnp.einsum("bd,cmd->bcm", queries, queued, precision="highest")
    # A finite number instead of missing entries: -inf times 0 is NaN.
    lowest = jnp.finfo(queries.dtype).min
    logits = jnp.where(queues.mask[None], logits / temperature, lowest).reshape(len(queries), -1)
    log_probs = jax.nn.log_softmax(jnp.concatenate([own_logits / temperature, logits], -1))
    classes = jnp.arange(len(queued), dtype=jnp.int32)[None, :, None]
    same_class = jnp.asarray(labels).astype(jnp.int32)[:, None, None] == classes
    positive = (same_class & queues.mask[None]).reshape(len(queries), -1)
    total = log_probs[:, 0] + jnp.where(positive, log_probs[:, 1:], 0.0).sum(-1)
    loss = -total / (1.0 + positive.sum(-1, dtype=total.dtype))
    return jnp.where(is_valid_class(labels, len(queued)), loss, jnp.nan)


def is_valid_class(labels: jax.Array, count: int) -> jax.Array:
    """Returns the mask of labels that are valid classes, bool `[B]`."""
    return (labels >= 0) & (labels < count)
