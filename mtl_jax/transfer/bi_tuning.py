"""Bi-Tuning: contrastive fine-tuning of the classifier head and of a projector head."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import unit
from mtl_jax.core.validation import require, require_int, require_number
from mtl_jax.core.views import SeparatePass, view_key
from mtl_jax.transfer.bi_tuning_losses import append_bias, cce, ccl
from mtl_jax.transfer.class_queues import ClassQueues, empty_queues, enqueue

KEYS = SeparatePass(("labelled",), model="teacher")


class BiTuningState(NamedTuple):
    """Queues of the most recent keys of every class."""

    features: ClassQueues  # [C, M, D + 1], with a bias
    embeddings: ClassQueues  # [C, M, E]


@dataclasses.dataclass(frozen=True)
class BiTuning(AuxiliaryLoss):
    """Bi-Tuning: supervised contrastive losses of the classifier head and of a projector head.

    `cce + ccl`, averaged over the labelled examples, see both. Keys are computed from the same
    images by the averaged model; its momentum is `Evaluation.ema_decay`, 0.999 in the paper. (In the
    paper, keys use another view of the images; here the same view, normalized by its own batch.)
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

    Example:
      >>> from mtl_jax import transfer
      >>> method = transfer.BiTuning(features=64)  # those of the run's trunk
      >>> method.aux_heads(num_classes=10)
      {'projection': AuxHead(outputs=128, hidden=1)}
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
        dims = (self.features + 1, self.size)
        return BiTuningState(*(empty_queues(sizes.num_classes, self.queue, d) for d in dims))

    def update(self, views: AuxInputs, state: BiTuningState) -> AuxUpdate:
        """Maps views to the mean over the labelled examples `[1]`, next state, and both parts."""
        features, keys = views.features["labelled"], views.features[view_key(KEYS)]
        rule = f"must be the trunk's, {features.shape[-1]}"
        require(features.shape[-1] == self.features, self, "features", rule, self.features)
        z, z_keys = views.outputs("labelled", "projection"), unit(views.outputs(KEYS, "projection"))
        kernel, bias = head_params(views, features)
        labels = jnp.where(views.mask, views.labels, 0)
        head_losses = cce(features, labels, kernel, bias, state.features, self.temperature)
        key_losses = ccl(z, z_keys, labels, state.embeddings, self.temperature)
        head_loss, key_loss = (
            mean_where(views.mask, losses) for losses in (head_losses, key_losses)
        )
        labels = jnp.where(views.mask, views.labels, -1)
        state = BiTuningState(
            enqueue(state.features, append_bias(keys), labels),
            enqueue(state.embeddings, z_keys, labels),
        )
        return AuxUpdate((head_loss + key_loss)[None], state, {"cce": head_loss, "ccl": key_loss})


def head_params(views: AuxInputs, features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns the kernel `[D, C]` and bias `[C]` of the task's head, without gradients."""
    size = features.shape[-1]
    bias = views.apply_head("", jnp.zeros((1, size), features.dtype))
    kernel = views.apply_head("", jnp.eye(size, dtype=features.dtype)) - bias
    return jax.lax.stop_gradient((kernel, bias[0]))


def mean_where(mask: jax.Array, losses: jax.Array) -> jax.Array:
    """Mean `[]` of losses `[B]` over the masked examples, 0 if there are none."""
    total = jnp.where(mask, losses, 0.0).sum()
    return total / jnp.maximum(mask.sum().astype(losses.dtype), 1.0)
