"""The method of Bi-Tuning: contrasts with the last examples of every class while it fine-tunes."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Head
from mtl_jax.core.tree import unit
from mtl_jax.core.validation import require, require_count, require_number
from mtl_jax.core.views import Apart, name_of
from mtl_jax.losses.target_type import MULTICLASS
from mtl_jax.transfer.bi_tuning import cce, ccl, with_bias
from mtl_jax.transfer.class_queues import ClassQueues, empty_queues, enqueue

KEYS = Apart(("labelled",), by="teacher")


class BiTuningState(NamedTuple):
    """Keys of the last examples of every class."""

    features: ClassQueues  # [C, M, D + 1], with a bias
    embeddings: ClassQueues  # [C, M, E]


@dataclasses.dataclass(frozen=True)
class BiTuning:
    """Bi-Tuning: the classifier and a projector beside it find each class among past examples.

    `cce + ccl`, the mean over the labelled examples, see both. Keys are the averaged net's of
    the same images; its momentum is the run's `ema`, 0.999 in the paper. (There the keys see
    another view of the images; here the same, normalised by their own batch.) After the losses,
    keys go into queues of their classes, which are empty at first. A missing label teaches
    nothing and takes no place.

    Gradients flow into the features, by both, and into the projector; none into keys, queues or,
    as in TLLib, the task's head, which is read as it is.

    Attributes:
      features: numbers of the trunk's features, D.
      weight: of the sum.
      queue: keys of a class, M.
      temperature: T.
      size: numbers of an embedding, E.

    Raises:
      BadInput: for a setting out of range; when traced, if the trunk has another D.

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
        require_count(self, features=1, queue=1, size=1)

    def heads(self, num_classes: int) -> dict[str, Head]:
        """The projector."""
        return {"projection": Head(self.size, hidden=1)}

    def init(self, sizes: Sizes) -> BiTuningState:
        """State before the first step: empty queues."""
        lengths = (self.features + 1, self.size)
        return BiTuningState(*(empty_queues(sizes.classes, self.queue, n) for n in lengths))

    def update(self, views: Views, state: BiTuningState) -> tuple[jax.Array, BiTuningState, dict]:
        """Maps views to the mean over the labelled examples `[1]`, next state, both parts."""
        found, keys = views.features["labelled"], views.features[name_of(KEYS)]
        rule = f"must be the trunk's, {found.shape[-1]}"
        require(found.shape[-1] == self.features, self, "features", rule, self.features)
        z, z_keys = views.of("labelled", "projection"), unit(views.of(KEYS, "projection"))
        kernel, bias = own_head(views, found)
        labels = jnp.where(views.mask, views.labels, 0)
        by_class = cce(found, labels, kernel, bias, state.features, self.temperature)
        by_key = ccl(z, z_keys, labels, state.embeddings, self.temperature)
        by_class, by_key = (mean_where(views.mask, each) for each in (by_class, by_key))
        labels = jnp.where(views.mask, views.labels, -1)
        state = BiTuningState(
            enqueue(state.features, with_bias(keys), labels),
            enqueue(state.embeddings, z_keys, labels),
        )
        return (by_class + by_key)[None], state, {"cce": by_class, "ccl": by_key}


def own_head(views: Views, features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Kernel `[D, C]` and bias `[C]` of the task's head, without gradients."""
    size = features.shape[-1]
    bias = views.call("", jnp.zeros((1, size), features.dtype))
    kernel = views.call("", jnp.eye(size, dtype=features.dtype)) - bias
    return jax.lax.stop_gradient((kernel, bias[0]))


def mean_where(mask: jax.Array, losses: jax.Array) -> jax.Array:
    """Mean `[]` of losses `[B]` over the examples in the mask, 0 if there are none."""
    total = jnp.where(mask, losses, 0.0).sum()
    return total / jnp.maximum(mask.sum().astype(losses.dtype), 1.0)
