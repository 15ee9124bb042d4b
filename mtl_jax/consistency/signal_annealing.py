"""Training signal annealing: labelled examples that are known already do not count yet."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import Match
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.protocols import Consistency
from mtl_jax.core.validation import require, require_choice
from mtl_jax.core.views import View
from mtl_jax.losses.masked import masked_mean
from mtl_jax.losses.target_type import MULTICLASS, types_of

MATCH = Match()


@dataclasses.dataclass(frozen=True)
class Annealed:
    """Another method, with a labelled loss of the examples that are not known too well yet.

    A labelled example counts while `softmax(z)_y <= a (1 - 1/C) + 1/C`, where a grows from 0 to
    1 with the share s of the training that is done: s ("linear"), `exp(5 (s - 1))` ("exp") or
    `1 - exp(-5 s)` ("log"). The mean is over those that count.

    Attributes:
      method: what is done with the unlabelled images.
      schedule: of a.

    Raises:
      BadInput: for an unknown schedule, or a method with a labelled loss, heads or an opening of
        its own, or that is not for classes.

    Reference: Xie et al., Unsupervised Data Augmentation, NeurIPS 2020, training signal
      annealing (https://arxiv.org/abs/1904.12848).
    """

    method: Consistency = MATCH
    schedule: Literal["linear", "log", "exp"] = "exp"

    target_types = MULTICLASS

    def __post_init__(self):
        require_choice(self, schedule=("linear", "log", "exp"))
        own = hasattr(self.method, "supervised")
        require(not own, self, "method", "must leave the labelled loss alone", self.method)
        for own in ("heads", "begin"):
            rule = f"must be a method without `{own}` of its own"
            require(not hasattr(self.method, own), self, "method", rule, self.method)
        fine = "multiclass" in types_of(self.method)
        require(fine, self, "method", "must be a method for classes", self.method)

    @property
    def weight(self) -> float:
        """Of the unlabelled loss."""
        return self.method.weight

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return ("labelled", *self.method.views)

    def init(self, sizes: Sizes):
        """State before the first step: the method's."""
        return self.method.init(sizes)

    def update(self, views: Views, state) -> tuple:
        """What the method says."""
        return self.method.update(views, state)

    def supervised(self, views: Views, loss: Callable, state: Any) -> jax.Array:
        """Mean `[]` of the loss over the labelled examples that count."""
        logits = views.of("labelled")
        labels = jnp.where(views.mask, views.labels, 0)
        probabilities = jax.nn.softmax(jax.lax.stop_gradient(logits))
        known = jnp.take_along_axis(probabilities, labels[:, None], 1)[:, 0]
        classes = logits.shape[-1]
        limit = self.share(views.progress) * (1.0 - 1.0 / classes) + 1.0 / classes
        return masked_mean(loss, logits, views.labels, views.mask & (known <= limit))

    def share(self, progress: jax.Array) -> jax.Array:
        """How far the limit has risen, a, from 0 to 1."""
        if self.schedule == "linear":
            return progress
        if self.schedule == "exp":
            return jnp.exp(5.0 * (progress - 1.0))
        return 1.0 - jnp.exp(-5.0 * progress)
