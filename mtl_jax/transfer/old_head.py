"""Methods that keep the source's head beside the task's own, and train it."""

import dataclasses
import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Head
from mtl_jax.core.validation import require_count, require_number
from mtl_jax.core.views import View
from mtl_jax.losses.masked import masked_mean
from mtl_jax.losses.target_type import ALL_TYPES, MULTICLASS
from mtl_jax.transfer.co_tuning import co_tuning
from mtl_jax.transfer.distill import lwf
from mtl_jax.transfer.source_views import Seen, both, require_held, views_of


@dataclasses.dataclass(frozen=True)
class LwF:
    r"""Learning without forgetting: the old head says of new images what the source says.

    `KL(softmax(z0 / T) || softmax(z / T))`, per example, without a factor `T^2`, see `lwf`. The
    source is asked anew at every step, on the images as they are augmented then (the paper and
    TLLib record its answers once). Labels are not read: missing ones do not matter. It wants a
    run with a source, whose head for the task SRC becomes the head `old` of this task DST by

        take=((r"tasks/heads/SRC/(kernel|bias)", r"tasks/heads/DST/old/Dense_0/\1"),)

    (SRC is `source` if the run starts from a file.) A run without such a rule is refused.
    Gradients flow into the old head and the trunk, none into the source.

    Attributes:
      classes: of the source's task, 2 or more.
      weight: of the mean over the images; TLLib's, 1 in the paper.
      temperature: T; TLLib's, 2 in the paper.
      view: which images; "weak" are the unlabelled ones.

    Raises:
      BadInput: for a setting out of range.

    Reference: Li and Hoiem, Learning without Forgetting, ECCV 2016, the loss of the old tasks
      (https://arxiv.org/abs/1606.09282); the defaults are TLLib's
      (https://github.com/thuml/Transfer-Learning-Library).
    """

    classes: int
    weight: float = 4.0
    temperature: float = 3.0
    view: Seen = "labelled"

    target_types = ALL_TYPES
    taken = ("old",)

    def __post_init__(self):
        require_held(self)
        require_count(self, classes=2)
        require_number(self, temperature=(1e-6, math.inf))

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return views_of(self.view)

    def heads(self, num_classes: int) -> dict[str, Head]:
        """The source's head."""
        return {"old": Head(self.classes)}

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to a loss for each example `[n]`, no state, and no metrics."""
        return lwf(*both(views.heads["old"], self.view), self.temperature), state, {}


class Relationship(NamedTuple):
    """What source classes the examples of each class have looked like so far."""

    # Float32 stops adding at 2^24 examples of a class; their mean is found long before.
    sums: jax.Array  # [C, Z], of the source's probabilities


@dataclasses.dataclass(frozen=True)
class CoTuning:
    r"""Co-Tuning: the old head learns the source classes that each class resembles.

    `-sum_s P(s | y) log p(s)`, the mean over the labelled examples, see `co_tuning`. `P(s | t)` is
    the mean of the source's probabilities over the examples of class t seen so far, this step's
    too. After one epoch that is the "direct" estimate over all labelled examples, which the
    paper makes before training; later epochs add the same images, augmented anew. (The paper's
    other estimate, by calibrated inversion, is not here.) A missing label teaches nothing. It
    wants a run with a source, whose head for the task SRC becomes the head `old` of this task
    DST by

        take=((r"tasks/heads/SRC/(kernel|bias)", r"tasks/heads/DST/old/Dense_0/\1"),)

    (SRC is `source` if the run starts from a file.) A run without such a rule is refused.
    TLLib trains that head as fast as the trunk, at a tenth of the task's own:
    `Rule(".*/old/.*", rate=0.1)` in the plan. Gradients flow into the old head and the trunk,
    none into the source or P.

    Attributes:
      classes: of the source's task, Z, 2 or more.
      weight: of the mean.

    Raises:
      BadInput: for a setting out of range.

    Reference: You et al., Co-Tuning for Transfer Learning, NeurIPS 2020, the sections on the
      overall framework and on learning the category relationship, direct approach
      (https://papers.nips.cc/paper/2020/hash/c8067ad1937f728f51288b3eb986afaa-Abstract.html).
    """

    classes: int
    weight: float = 2.3

    target_types = MULTICLASS
    taken = ("old",)
    views = views_of("labelled")

    def __post_init__(self):
        require_count(self, classes=2)
        require_number(self, weight=(0.0, math.inf))

    def heads(self, num_classes: int) -> dict[str, Head]:
        """The source's head."""
        return {"old": Head(self.classes)}

    def init(self, sizes: Sizes) -> Relationship:
        """State before the first step: nothing has been seen."""
        return Relationship(jnp.zeros((sizes.classes, self.classes), float))

    def update(self, views: Views, state: Relationship) -> tuple[jax.Array, Relationship, dict]:
        """Maps views to the mean over the labelled examples `[1]`, the next state, no metrics."""
        logits, before = both(views.heads["old"], "labelled")
        state = with_batch(state, before, views.labels, views.mask)
        # A class that was never seen has a row of zeros, and no example to ask for it.
        totals = state.sums.sum(1, keepdims=True)
        relationship = state.sums / jnp.where(totals > 0, totals, 1.0)
        loss = functools.partial(co_tuning, relationship=relationship)
        return masked_mean(loss, logits, views.labels, views.mask)[None], state, {}


def with_batch(
    state: Relationship, logits: jax.Array, labels: jax.Array, mask: jax.Array
) -> Relationship:
    """Adds the source's probabilities of logits `[B, Z]` to the sums of their labels `[B]`."""
    classes = jnp.arange(len(state.sums), dtype=jnp.int32)
    mine = (labels.astype(jnp.int32)[:, None] == classes[None]) & mask[:, None]
    said = jax.nn.softmax(jax.lax.stop_gradient(logits).astype(state.sums.dtype))
    added = jnp.matmul(mine.astype(said.dtype).T, said, precision="highest")
    return Relationship(jax.lax.stop_gradient(state.sums) + added)
