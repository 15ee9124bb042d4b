"""SimMatch: guesses of classes and of similar labelled examples, each mended by the other."""

import dataclasses
import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import QueueAlignment
from mtl_jax.consistency.parts import Align
from mtl_jax.consistency.projection import Projection, unit
from mtl_jax.consistency.scatter import rows_of
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Head
from mtl_jax.core.tree import average
from mtl_jax.core.validation import require_choice, require_number
from mtl_jax.core.views import Apart, View
from mtl_jax.losses import soft_cross_entropy
from mtl_jax.losses.target_type import MULTICLASS

# What the parts are unless told otherwise.
ALIGN, PROJECTION = QueueAlignment(32), Projection(128)
TEACHER = Apart(("labelled", "weak"), "teacher")


class Bank(NamedTuple):
    """What is known of every labelled example."""

    embeddings: jax.Array  # [L, D]
    label: jax.Array  # [L], -1 before it came with its label


class SimMatchState(NamedTuple):
    """What its parts keep."""

    align: Any
    bank: Bank


@dataclasses.dataclass(frozen=True)
class SimMatch:
    """Consistency of classes, and of similarities to the labelled examples.

    Of the weak view, p are the aligned probabilities of classes, and
    `s_l = softmax_l(z z_l / T)` the similarities to the bank, which has an embedding z_l and
    a class y_l of each labelled example. Each mends the other:
    `q_c = a p_c + (1 - a) sum over l of class c of s_l` and
    `r_l = s_l p_(y_l) / sum_k s_k p_(y_k)`. The loss of an example is
    `1[max q >= threshold] H(q, strong) + instance H(r, softmax_l(z' z_l / T))`, where z' is the
    embedding of the strong view.

    After that the bank moves: `z_l <- unit(momentum z_l + (1 - momentum) z)` for the labelled
    examples of the batch, or z the first time; of one that is there twice, the later counts.
    An example that has not come yet with a label is left out of every sum, and while there is
    none, q is p and the second term 0. (The authors' code has random embeddings of class 0
    there and waits for the second epoch. USB's code normalises the bank over the batch
    instead of over each embedding; the paper's side is taken.)

    Gradients flow into the strong view only. Outputs `[n, C]`.

    Attributes:
      threshold: confidence at which q counts (0.7 on ImageNet).
      smoothing: a, share of the own guess in q.
      temperature: T.
      instance: weight of the second term (0.5 on ImageNet, beside a weight of 10).
      momentum: share of the bank's embedding that is kept; the paper has 0.7 on small data
        sets with the student, and 0 with the teacher.
      by: the model that guesses of the weak view and embeds labelled images; with "teacher",
        the run's averaged parameters, both together in a pass of their own.
      align: of the guesses.
      projection: the embeddings.
      weight: of both terms (10 on ImageNet).

    Raises:
      BadInput: for a setting out of range.

    Reference: Zheng et al., SimMatch, CVPR 2022, Section 3 (https://arxiv.org/abs/2203.06915).
    """

    threshold: float = 0.95
    smoothing: float = 0.9
    temperature: float = 0.1
    instance: float = 1.0
    momentum: float = 0.7
    by: Literal["student", "teacher"] = "student"
    align: Align = ALIGN
    projection: Projection = PROJECTION
    weight: float = 1.0

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0), smoothing=(0.0, 1.0), momentum=(0.0, 1.0))
        require_number(self, temperature=(1e-6, math.inf))
        require_number(self, instance=(0.0, math.inf), weight=(0.0, math.inf))
        require_choice(self, by=("student", "teacher"))

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return (TEACHER, "strong") if self.by == "teacher" else ("labelled", "weak", "strong")

    def heads(self, num_classes: int) -> dict[str, Head]:
        """The projection's."""
        return self.projection.heads()

    def init(self, sizes: Sizes) -> SimMatchState:
        """State before the first step: an empty bank."""
        embeddings = jnp.zeros((sizes.labelled, self.projection.size), float)
        bank = Bank(embeddings, jnp.full(sizes.labelled, -1, jnp.int32))
        return SimMatchState(self.align.init(sizes), bank)

    def update(self, views: Views, state: SimMatchState) -> tuple[jax.Array, SimMatchState, dict]:
        """Maps views to a loss for each example `[U]`, the next state, and metrics."""
        state = jax.lax.stop_gradient(state)
        logits, labelled, weak = jax.lax.stop_gradient(self.guessed(views))
        aligned, align = self.align.update(jax.nn.log_softmax(logits), views, state.align)
        known = (state.bank.label >= 0).any()
        near = jax.nn.log_softmax(self.compared(weak, state.bank))
        guess = jnp.where(known, self.aggregated(aligned, near, state.bank), jnp.exp(aligned))
        mask = guess.max(-1) >= self.threshold
        follow = jnp.where(mask, soft_cross_entropy(views.of("strong"), guess), 0.0)
        similar = self.compared(self.projection(views, "strong"), state.bank)
        target = unfolded(aligned, near, state.bank)
        instance = jnp.where(known, soft_cross_entropy(similar, target), 0.0)
        metrics = {"mask_rate": mask.astype(follow.dtype).mean(), "instance": instance.mean()}
        bank = self.seen(views, state.bank, labelled)
        return follow + self.instance * instance, SimMatchState(align, bank), metrics

    def guessed(self, views: Views) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Logits of the weak view, embeddings of the labelled one, and of the weak one."""
        if self.by == "student":
            labelled, weak = (self.projection(views, view) for view in ("labelled", "weak"))
            return views.of("weak"), labelled, weak
        size = views.labels.shape[0]
        both = self.projection(views, TEACHER)
        return views.of(TEACHER)[size:], both[:size], both[size:]

    def compared(self, embeddings: jax.Array, bank: Bank) -> jax.Array:
        """Similarities `z z_l / T` `[U, L]`; of what is not known, the least number."""
        similar = embeddings @ bank.embeddings.astype(embeddings.dtype).T
        similar = similar / jnp.asarray(self.temperature, similar.dtype)
        # Not -inf: it makes a NaN of 0 times it, and of a bank in which nothing is known.
        return jnp.where(bank.label >= 0, similar, jnp.finfo(similar.dtype).min)

    def aggregated(self, aligned: jax.Array, near: jax.Array, bank: Bank) -> jax.Array:
        """Probabilities of classes `[U, C]`, partly those of similar examples, q."""
        classes = jax.nn.one_hot(bank.label, aligned.shape[-1], dtype=near.dtype)
        others = (jnp.exp(near) @ classes).astype(aligned.dtype)
        return average(jnp.exp(aligned), others, self.smoothing)

    def seen(self, views: Views, bank: Bank, embeddings: jax.Array) -> Bank:
        """The bank with this batch's labelled examples."""
        embeddings = embeddings.astype(bank.embeddings.dtype)
        index = views.labelled_index
        first = (bank.label[index] < 0)[:, None]
        moved = unit(average(bank.embeddings[index], embeddings, self.momentum))
        rows = rows_of(index, views.mask, bank.label.size)
        return Bank(
            bank.embeddings.at[rows].set(jnp.where(first, embeddings, moved), mode="drop"),
            bank.label.at[rows].set(views.labels.astype(jnp.int32), mode="drop"),
        )


def unfolded(aligned: jax.Array, near: jax.Array, bank: Bank) -> jax.Array:
    """Similarities `[U, L]` times the probability of each example's class, of sum 1, r."""
    own = aligned[:, jnp.maximum(bank.label, 0)].astype(near.dtype)
    # Sums of logarithms: the products may all be 0.
    return jax.nn.softmax(jnp.where(bank.label >= 0, near + own, near))
