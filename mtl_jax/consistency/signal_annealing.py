"""Training signal annealing: labelled examples that are already known do not count yet."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from mtl_jax.consistency.match import Match
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxiliaryWrapper, require_method
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require, require_choice
from mtl_jax.core.views import View
from mtl_jax.losses.masked import masked_mean

MATCH = Match()


@dataclasses.dataclass(frozen=True)
class SignalAnnealing(AuxiliaryWrapper):
    """Wraps a method so that the labelled loss skips examples that are already known too well.

    A labelled example counts while `softmax(z)_y <= a (1 - 1/C) + 1/C`, where a grows from 0 to
    1 with the fraction s of training that is done: s ("linear"), `exp(5 (s - 1))` ("exp") or
    `1 - exp(-5 s)` ("log"). The mean is over those that count.

    Attributes:
      method: method for the unlabelled images.
      schedule: of a.

    Raises:
      BadInput: for an unknown schedule, or a method that has its own labelled loss or is not for
        multiclass targets.

    Reference: Xie et al., Unsupervised Data Augmentation, NeurIPS 2020, training signal
      annealing (https://arxiv.org/abs/1904.12848).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> method = consistency.SignalAnnealing(consistency.FixMatch(), schedule="log")
      >>> [round(float(method.annealing_factor(jnp.array(s))), 2) for s in (0.0, 0.1, 0.5)]
      [0.0, 0.39, 0.92]
    """

    method: AuxiliaryLoss = MATCH
    schedule: Literal["linear", "log", "exp"] = "exp"

    target_types = MULTICLASS

    def __post_init__(self):
        require_choice(self, schedule=("linear", "log", "exp"))
        require_method(self)
        valid = not self.method.has_labelled_loss
        require(valid, self, "method", "must have no labelled loss of its own", self.method)
        valid = "multiclass" in self.method.target_types
        require(valid, self, "method", "must be a method for classes", self.method)

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views of the method, and the labelled one."""
        return tuple(dict.fromkeys(("labelled", *self.method.views)))

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Tree) -> jax.Array:
        """Mean loss `[]` over the labelled examples that count."""
        logits = views.outputs("labelled")
        labels = jnp.where(views.mask, views.labels, 0)
        probabilities = jax.nn.softmax(jax.lax.stop_gradient(logits))
        label_probs = jnp.take_along_axis(probabilities, labels[:, None], 1)[:, 0]
        classes = logits.shape[-1]
        factor = self.annealing_factor(views.progress)
        threshold = factor * (1.0 - 1.0 / classes) + 1.0 / classes
        return masked_mean(loss, logits, views.labels, views.mask & (label_probs <= threshold))

    def annealing_factor(self, progress: jax.Array) -> jax.Array:
        """Annealing factor a, from 0 to 1."""
        if self.schedule == "linear":
            return progress
        if self.schedule == "exp":
            return jnp.exp(5.0 * (progress - 1.0))
        return 1.0 - jnp.exp(-5.0 * progress)
