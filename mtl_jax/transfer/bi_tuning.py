"""Bi-Tuning: contrastive fine-tuning of the classifier head and of a projector head."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import promote_float32, unit
from mtl_jax.core.validation import require, require_int, require_number
from mtl_jax.core.views import SeparatePass, view_key
from mtl_jax.transfer.class_queues import ClassQueues, empty_queues, enqueue, require_shapes

KEYS = SeparatePass(("labelled",), model="teacher")


class BiTuningState(NamedTuple):
    """Queues of the most recent keys of every class."""

    features: ClassQueues  # [C, M, D + 1], with a bias
    embeddings: ClassQueues  # [C, M, E]


@dataclasses.dataclass(frozen=True)
class BiTuning(AuxiliaryLoss):
    """Bi-Tuning: supervised contrastive losses of the classifier head and of a projector head.

    `cce + ccl`, averaged over the labelled examples, see both. Keys are computed from the same
    images by the averaged model; its momentum is the run's `ema_decay`, 0.999 in the paper. (In the
    paper, keys use another view of the images; here the same view, normalised by its own batch.)
    After the losses, keys are added to the queues of their classes, which start empty. An example
    without a label contributes no loss and is not enqueued.

    Both losses have gradients with respect to the features, `ccl` also with respect to the
    projector; there is none with respect to keys, queues or, as in TLLib, the task's head, which is
    held fixed.

    Attributes:
      features: number of trunk features, D.
      weight: weight of the sum.
      queue: number of keys per class, M.
      temperature: the temperature T.
      size: embedding dimension, E.

    Raises:
      BadInput: if a setting is out of range; when traced, if the trunk has a different D.

    Reference: Zhong et al., Bi-tuning of Pre-trained Representations, 2020, the sections on the
      classifier head and the projector head (https://arxiv.org/abs/2011.06182); the defaults are
      TLLib's (https://github.com/thuml/Transfer-Learning-Library).
    """

    features: int
    weight: float = 1.0
    queue: int = 40
    temperature: float = 0.07
    size: int = 128

    target_types = MULTICLASS
    views = ("labelled", KEYS)

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), temperature=(1e-6, math.inf))
        require_int(self, features=1, queue=1, size=1)

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """Returns the projector."""
        return {"projection": AuxHead(self.size, hidden=1)}

    def init(self, sizes: DatasetSizes) -> BiTuningState:
        """Returns the initial state: empty queues."""
        lengths = (self.features + 1, self.size)
        return BiTuningState(*(empty_queues(sizes.num_classes, self.queue, n) for n in lengths))

    def update(
        self, views: AuxInputs, state: BiTuningState
    ) -> tuple[jax.Array, BiTuningState, dict]:
        """Maps views to the mean over the labelled examples `[1]`, next state, and both parts."""
        found, keys = views.features["labelled"], views.features[view_key(KEYS)]
        rule = f"must be the trunk's, {found.shape[-1]}"
        require(found.shape[-1] == self.features, self, "features", rule, self.features)
        z, z_keys = views.outputs("labelled", "projection"), unit(views.outputs(KEYS, "projection"))
        kernel, bias = own_head(views, found)
        labels = jnp.where(views.mask, views.labels, 0)
        by_class = cce(found, labels, kernel, bias, state.features, self.temperature)
        by_key = ccl(z, z_keys, labels, state.embeddings, self.temperature)
        by_class, by_key = (mean_where(views.mask, each) for each in (by_class, by_key))
        labels = jnp.where(views.mask, views.labels, -1)
        state = BiTuningState(
            enqueue(state.features, append_bias(keys), labels),
            enqueue(state.embeddings, z_keys, labels),
        )
        return (by_class + by_key)[None], state, {"cce": by_class, "ccl": by_key}


# Both losses are added to the cross-entropy with weight 1. Keys come from the model with averaged
# parameters (momentum 0.999 per step), on another view of the same images; they are enqueued after
# the losses.


def append_bias(features: jax.Array) -> jax.Array:
    """Appends a 1 for the bias and normalizes: `[h; 1] / ||[h; 1]||`, the keys of `cce`.

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
    """
    size, count = kernel.shape
    require_shapes("cce", features, labels, queues, (count, size + 1))
    own = append_bias(promote_float32(features))
    weights = unit(jnp.concatenate([kernel, bias[None]]).T.astype(own.dtype))
    chosen = weights[jnp.where(is_valid_class(labels, count), labels, 0)]
    loss = contrast("cce", chosen, own, labels, queues, temperature)
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
    """
    require_shapes("ccl", embeddings, labels, queues, (len(queues.keys), embeddings.shape[-1]))
    if keys.shape != embeddings.shape:
        raise ValueError(f"ccl needs keys of the shape {embeddings.shape}, not {keys.shape}")
    queries = unit(promote_float32(embeddings))
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
    """Loss `[B]` of queries `[B, D]` with positives: `own` `[B, D]` and the keys of their class."""
    require(temperature > 0, name, "temperature", "must be above 0", temperature)
    stored = jax.lax.stop_gradient(queues.keys.astype(queries.dtype))
    first = (queries * own).sum(-1, keepdims=True)
    others = jnp.einsum("bd,cmd->bcm", queries, stored, precision="highest")
    # A finite number instead of missing entries: -inf times 0 is NaN.
    low = jnp.finfo(queries.dtype).min
    others = jnp.where(queues.there[None], others / temperature, low).reshape(len(queries), -1)
    scores = jax.nn.log_softmax(jnp.concatenate([first / temperature, others], -1))
    classes = jnp.arange(len(stored), dtype=jnp.int32)[None, :, None]
    mine = jnp.asarray(labels).astype(jnp.int32)[:, None, None] == classes
    positive = mine & queues.there[None]
    positive = positive.reshape(len(queries), -1)
    total = scores[:, 0] + jnp.where(positive, scores[:, 1:], 0.0).sum(-1)
    loss = -total / (1.0 + positive.sum(-1, dtype=total.dtype))
    return jnp.where(is_valid_class(labels, len(stored)), loss, jnp.nan)


def is_valid_class(labels: jax.Array, count: int) -> jax.Array:
    """Returns the mask of labels that are valid classes, bool `[B]`."""
    return (labels >= 0) & (labels < count)


def own_head(views: AuxInputs, features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the kernel `[D, C]` and bias `[C]` of the task's head, without gradients."""
    size = features.shape[-1]
    bias = views.apply_head("", jnp.zeros((1, size), features.dtype))
    kernel = views.apply_head("", jnp.eye(size, dtype=features.dtype)) - bias
    return jax.lax.stop_gradient((kernel, bias[0]))


def mean_where(mask: jax.Array, losses: jax.Array) -> jax.Array:
    """Mean `[]` of losses `[B]` over the masked examples, 0 if there are none."""
    total = jnp.where(mask, losses, 0.0).sum()
    return total / jnp.maximum(mask.sum().astype(losses.dtype), 1.0)
