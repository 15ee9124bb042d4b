"""CoMatch: pseudo-labels smoothed by embeddings, and embeddings regularised by pseudo-labels."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import QueueAlignment
from mtl_jax.consistency.memory_bank import MemoryBank, enqueue, init_memory
from mtl_jax.consistency.parts import Align
from mtl_jax.consistency.projection import ProjectionHead
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require_int, require_number
from mtl_jax.losses import soft_cross_entropy

# Defaults of the parts.
ALIGN, PROJECTION = QueueAlignment(32), ProjectionHead(64)


class CoMatchState(NamedTuple):
    """States of the parts."""

    align: Tree
    memory: MemoryBank


@dataclasses.dataclass(frozen=True)
class CoMatch(AuxiliaryLoss):
    """Co-training of class probabilities and embeddings through a graph of each.

    `1[max q_i >= threshold] H(q_i, strong_i) + contrast H(W_i, softmax_j(z_i z'_j / T))`,
    per example, with z and z' the embeddings of both strong views. First the predictions are
    smoothed with a memory of past aligned predictions p_m and their embeddings,
    `q_i = a p_i + (1 - a) sum_m softmax_m(z_i z_m / T) p_m`, where z_i is of the weak view. Then
    they define a graph: `W_ij = q_i q_j`, 1 for i = j and 0 below `edge`, each row normalized to
    sum 1. Labelled examples enter the memory with their labels; a missing label takes no row. As
    in the authors' code, smoothing starts once the memory is full, and the batch is enqueued
    after the memory was used. (That code adds 1e-7 inside the logarithm of the second term; here
    it is exact. Its variant with a teacher for ImageNet is not implemented.)

    Gradients with respect to both strong views only. Outputs `[n, C]`.

    Attributes:
      threshold: confidence from which a smoothed pseudo-label counts.
      smoothing: a, weight of the example's own prediction.
      temperature: T.
      edge: similarity of two predictions below which they are not connected.
      contrast: weight of the second term (5 in the authors' runs on STL-10).
      memory: rows; the authors keep 5 batches, here of 64 labelled and 448 unlabelled images.
      align: of the predictions.
      projection: head of the embeddings.
      weight: of both terms.

    Raises:
      BadInput: for a setting out of range.

    Reference: Li et al., CoMatch, ICCV 2021, Section 3 (https://arxiv.org/abs/2011.11183).

    Example:
      >>> from mtl_jax import consistency
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> method = consistency.CoMatch(memory=512)
      >>> method.aux_heads(10)
      {'projection': AuxHead(outputs=64, hidden=1)}
      >>> method.init(DatasetSizes(10, 50_000, 40)).memory.embeddings.shape
      (512, 64)
    """

    threshold: float = 0.95
    smoothing: float = 0.9
    temperature: float = 0.2
    edge: float = 0.8
    contrast: float = 1.0
    memory: int = 2560
    align: Align = ALIGN
    projection: ProjectionHead = PROJECTION
    weight: float = 1.0

    target_types = MULTICLASS
    views = ("labelled", "weak", "strong", "strong2")

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0), smoothing=(0.0, 1.0), edge=(0.0, 1.0))
        require_number(self, temperature=(1e-6, math.inf))
        require_number(self, contrast=(0.0, math.inf), weight=(0.0, math.inf))
        require_int(self, memory=1)

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """Heads of the projection."""
        return self.projection.heads()

    def init(self, sizes: DatasetSizes) -> CoMatchState:
        """Returns the initial state."""
        memory = init_memory(self.memory, self.projection.size, sizes.num_classes)
        return CoMatchState(self.align.init(sizes), memory)

    def update(self, views: AuxInputs, state: CoMatchState) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        state = jax.lax.stop_gradient(state)
        log_probs = jax.nn.log_softmax(jax.lax.stop_gradient(views.outputs("weak")))
        aligned, align = self.align.update(log_probs, views, state.align)
        probs = jnp.exp(aligned)
        weak = jax.lax.stop_gradient(self.projection(views, "weak"))
        pseudo_labels = jnp.where(state.memory.full, self.smooth(probs, weak, state.memory), probs)
        mask = pseudo_labels.max(-1) >= self.threshold
        class_loss = jnp.where(
            mask, soft_cross_entropy(views.outputs("strong"), pseudo_labels), 0.0
        )
        strong, strong2 = (self.projection(views, view) for view in ("strong", "strong2"))
        graph = similarity_graph(pseudo_labels, self.edge)
        contrast = soft_cross_entropy(self.similarities(strong, strong2), graph)
        metrics = {"mask_rate": mask.astype(class_loss.dtype).mean(), "contrast": contrast.mean()}
        memory = self.enqueue(views, state.memory, weak, probs)
        return AuxUpdate(
            class_loss + self.contrast * contrast, CoMatchState(align, memory), metrics
        )

    def similarities(self, embeddings: jax.Array, keys: jax.Array) -> jax.Array:
        """Similarities `z_i z'_j / T` `[n, m]` of embeddings `[n, D]` and `[m, D]`."""
        return embeddings @ keys.T / jnp.asarray(self.temperature, embeddings.dtype)

    def smooth(self, probs: jax.Array, embeddings: jax.Array, memory: MemoryBank) -> jax.Array:
        """Probabilities `[U, C]` smoothed with those of similar examples, if the memory is full."""
        weights = jax.nn.softmax(
            self.similarities(embeddings, memory.embeddings.astype(embeddings.dtype))
        )
        neighbors = weights @ memory.probs.astype(weights.dtype)
        return self.smoothing * probs + (1.0 - self.smoothing) * neighbors.astype(probs.dtype)

    def enqueue(
        self, views: AuxInputs, memory: MemoryBank, embeddings: jax.Array, probs: jax.Array
    ) -> MemoryBank:
        """The memory with this batch enqueued: unlabelled examples, then labelled ones."""
        labelled = jax.lax.stop_gradient(self.projection(views, "labelled"))
        labels = jax.nn.one_hot(views.labels, probs.shape[-1], dtype=probs.dtype)
        mask = jnp.concatenate([jnp.ones(probs.shape[0], bool), views.mask])
        return enqueue(
            memory,
            jnp.concatenate([embeddings, labelled]),
            jnp.concatenate([probs, labels]),
            mask,
        )


def similarity_graph(probs: jax.Array, edge: float) -> jax.Array:
    """Normalized graph `[n, n]`: products of predictions `[n, C]`, diagonal 1, 0 below `edge`."""
    product = probs @ probs.T
    product = jnp.where(jnp.eye(probs.shape[0], dtype=bool), 1.0, product)
    product = jnp.where(product >= edge, product, 0.0)
    return product / product.sum(-1, keepdims=True)
