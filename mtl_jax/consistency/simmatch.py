"""SimMatch: class predictions and similarities to labelled examples, each refining the other."""

import dataclasses
import math
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import QueueAlignment
from mtl_jax.consistency.parts import Align
from mtl_jax.consistency.projection import ProjectionHead, unit
from mtl_jax.consistency.scatter import rows_of
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import Tree, ema_update
from mtl_jax.core.validation import require_choice, require_number
from mtl_jax.core.views import SeparatePass, View
from mtl_jax.losses import soft_cross_entropy

# Defaults of the parts.
ALIGN, PROJECTION = QueueAlignment(32), ProjectionHead(128)
TEACHER = SeparatePass(("labelled", "weak"), "teacher")


class LabelledBank(NamedTuple):
    """Embeddings and labels of all labelled examples."""

    embeddings: jax.Array  # [L, D]
    label: jax.Array  # [L], -1 before it was seen with its label


class SimMatchState(NamedTuple):
    """States of the parts."""

    align: Tree
    bank: LabelledBank


class TargetOutputs(NamedTuple):
    """Outputs that targets are made of."""

    logits: jax.Array  # [U, C], weak view
    labelled: jax.Array  # [L, D], embeddings of the labelled view
    weak: jax.Array  # [U, D], embeddings of the weak view


@dataclasses.dataclass(frozen=True)
class SimMatch(AuxiliaryLoss):
    """Consistency of classes, and of similarities to the labelled examples.

    Of the weak view, p are the aligned class probabilities, and `s_l = softmax_l(z z_l / T)` the
    similarities to the bank, which has an embedding z_l and a class y_l of each labelled example.
    Each refines the other: `q_c = a p_c + (1 - a) sum over l of class c of s_l` and
    `r_l = s_l p_(y_l) / sum_k s_k p_(y_k)`. The loss of an example is
    `1[max q >= threshold] H(q, strong) + instance H(r, softmax_l(z' z_l / T))`, where z' is the
    embedding of the strong view.

    Then the bank is updated: `z_l <- unit(momentum z_l + (1 - momentum) z)` for the labelled
    examples of the batch, or z the first time; for duplicates, the later position counts. An
    example that has not been seen with a label yet is excluded from every sum, and while there is
    none, q is p and the second term 0. (The authors' code has random embeddings of class 0 there
    and waits for the second epoch. USB's code normalizes the bank over the batch instead of over
    each embedding; here the paper is followed.)

    Gradients with respect to the strong view only. Outputs `[n, C]`.

    Attributes:
      threshold: confidence from which q counts (0.7 on ImageNet).
      smoothing: a, weight of the example's own prediction in q.
      temperature: T.
      instance: weight of the second term (0.5 on ImageNet, with a weight of 10).
      momentum: decay of the bank's embeddings; the paper uses 0.7 on small data sets with the
        student, and 0 with the teacher.
      target_model: model that predicts for the weak view and embeds labelled images; with
        "teacher", the run's averaged parameters do both in a separate pass.
      align: of the predictions.
      projection: head of the embeddings.
      weight: of both terms (10 on ImageNet).

    Raises:
      BadInput: for a setting out of range.

    Reference: Zheng et al., SimMatch, CVPR 2022, Section 3 (https://arxiv.org/abs/2203.06915).

    Example:
      >>> from mtl_jax import consistency
      >>> from mtl_jax.core.aux_inputs import DatasetSizes
      >>> method = consistency.SimMatch(target_model="teacher")
      >>> method.views
      (SeparatePass(views=('labelled', 'weak'), model='teacher'), 'strong')
      >>> method.init(DatasetSizes(10, 50_000, 40)).bank.embeddings.shape
      (40, 128)
    """

    threshold: float = 0.95
    smoothing: float = 0.9
    temperature: float = 0.1
    instance: float = 1.0
    momentum: float = 0.7
    target_model: Literal["student", "teacher"] = "student"
    align: Align = ALIGN
    projection: ProjectionHead = PROJECTION
    weight: float = 1.0

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0), smoothing=(0.0, 1.0), momentum=(0.0, 1.0))
        require_number(self, temperature=(1e-6, math.inf))
        require_number(self, instance=(0.0, math.inf), weight=(0.0, math.inf))
        require_choice(self, target_model=("student", "teacher"))

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        weak = (TEACHER,) if self.target_model == "teacher" else ("labelled", "weak")
        return (*weak, "strong")

    def aux_heads(self, num_classes: int) -> dict[str, AuxHead]:
        """Heads of the projection."""
        return self.projection.heads()

    def init(self, sizes: DatasetSizes) -> SimMatchState:
        """Returns the initial state: an empty bank."""
        embeddings = jnp.zeros((sizes.num_labelled, self.projection.size), float)
        bank = LabelledBank(embeddings, jnp.full(sizes.num_labelled, -1, jnp.int32))
        return SimMatchState(self.align.init(sizes), bank)

    def update(self, views: AuxInputs, state: SimMatchState) -> AuxUpdate:
        """Maps views to per-example losses `[U]`, the next state and metrics."""
        state = jax.lax.stop_gradient(state)
        logits, labelled, weak = jax.lax.stop_gradient(self.target_outputs(views))
        aligned, align = self.align.update(jax.nn.log_softmax(logits), views, state.align)
        nonempty = (state.bank.label >= 0).any()
        log_similarities = jax.nn.log_softmax(self.similarities(weak, state.bank))
        smoothed = self.aggregate(aligned, log_similarities, state.bank)
        pseudo_labels = jnp.where(nonempty, smoothed, jnp.exp(aligned))
        mask = pseudo_labels.max(-1) >= self.threshold
        class_loss = jnp.where(
            mask, soft_cross_entropy(views.outputs("strong"), pseudo_labels), 0.0
        )
        similarities = self.similarities(self.projection(views, "strong"), state.bank)
        targets = unfold(aligned, log_similarities, state.bank)
        instance = jnp.where(nonempty, soft_cross_entropy(similarities, targets), 0.0)
        metrics = {"mask_rate": mask.astype(class_loss.dtype).mean(), "instance": instance.mean()}
        bank = self.update_bank(views, state.bank, labelled)
        return AuxUpdate(class_loss + self.instance * instance, SimMatchState(align, bank), metrics)

    def target_outputs(self, views: AuxInputs) -> TargetOutputs:
        """Outputs of the student, or of the averaged model."""
        if self.target_model == "student":
            labelled, weak = (self.projection(views, view) for view in ("labelled", "weak"))
            return TargetOutputs(views.outputs("weak"), labelled, weak)
        size = views.labels.shape[0]
        embeddings = self.projection(views, TEACHER)
        logits = views.outputs(TEACHER)[size:]
        return TargetOutputs(logits, embeddings[:size], embeddings[size:])

    def similarities(self, embeddings: jax.Array, bank: LabelledBank) -> jax.Array:
        """Similarities `z z_l / T` `[U, L]`; the smallest float for rows not seen yet."""
        similarities = embeddings @ bank.embeddings.astype(embeddings.dtype).T
        similarities = similarities / jnp.asarray(self.temperature, similarities.dtype)
        # Not -inf, which gives NaN when multiplied by 0, or when the bank is empty.
        return jnp.where(bank.label >= 0, similarities, jnp.finfo(similarities.dtype).min)

    def aggregate(
        self, aligned: jax.Array, log_similarities: jax.Array, bank: LabelledBank
    ) -> jax.Array:
        """Class probabilities `[U, C]` smoothed with those of similar examples, q."""
        classes = jax.nn.one_hot(bank.label, aligned.shape[-1], dtype=log_similarities.dtype)
        neighbor_probs = (jnp.exp(log_similarities) @ classes).astype(aligned.dtype)
        return ema_update(jnp.exp(aligned), neighbor_probs, self.smoothing)

    def update_bank(
        self, views: AuxInputs, bank: LabelledBank, embeddings: jax.Array
    ) -> LabelledBank:
        """The bank updated with this batch's labelled examples."""
        embeddings = embeddings.astype(bank.embeddings.dtype)
        index = views.labelled_index
        first = (bank.label[index] < 0)[:, None]
        averages = unit(ema_update(bank.embeddings[index], embeddings, self.momentum))
        rows = rows_of(index, views.mask, bank.label.size)
        return LabelledBank(
            bank.embeddings.at[rows].set(jnp.where(first, embeddings, averages), mode="drop"),
            bank.label.at[rows].set(views.labels.astype(jnp.int32), mode="drop"),
        )


def unfold(aligned: jax.Array, log_similarities: jax.Array, bank: LabelledBank) -> jax.Array:
    """Similarities `[U, L]` times the probability of each example's class, normalized, r."""
    log_probs = aligned[:, jnp.maximum(bank.label, 0)].astype(log_similarities.dtype)
    # In log space: the products may all be 0.
    log_products = jnp.where(bank.label >= 0, log_similarities + log_probs, log_similarities)
    return jax.nn.softmax(log_products)
