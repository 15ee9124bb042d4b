"""Match: one view is trained on pseudo-labels from another, composed of four parts."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import NoAlignment
from mtl_jax.consistency.divergence import CrossEntropy
from mtl_jax.consistency.mask import NoMask
from mtl_jax.consistency.parts import Align, Divergence, Mask, Target, Term
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.consistency.ramp_up import linear_ramp_up
from mtl_jax.consistency.target import HardLabels
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import View

# Defaults of the parts.
NO_ALIGNMENT, HARD_LABELS = NoAlignment(), HardLabels()
NO_MASK, CROSS_ENTROPY = NoMask(), CrossEntropy()


class MatchState(NamedTuple):
    """States of the parts of a method."""

    align: Tree
    mask: Tree
    terms: tuple[Tree, ...]


@dataclasses.dataclass(frozen=True)
class Match(AuxiliaryLoss):
    """Consistency of two views for classification, the scheme that most papers share.

    `m(q) D(t(q), student_view)` with `q = align(softmax(target_view))`, per example: the
    prediction q is aligned, masked by m and turned into a target by t, and D is the divergence
    of the student view from that target. No gradient with respect to the target view, the state
    or the mask. Any leading shape: where an example has several outputs (pixels), its loss is
    their mean.

    Attributes:
      align: `NoAlignment`, `DistributionAlignment` or `QueueAlignment`.
      target: `HardLabels` or `SharpenedLabels`.
      mask: `NoMask`, `ConfidenceThreshold`, `RelativeThreshold`, `CurriculumThreshold`,
        `SelfAdaptiveThreshold` or `TruncatedGaussian`.
      divergence: `CrossEntropy`, `KLDivergence` or `SquaredError`.
      terms: loss terms over the whole batch, such as `SelfAdaptiveFairness`; each is added, times
        its weight, to every example, so that the mean over the batch contains it once.
      target_view: view that provides the pseudo-labels.
      student_view: view that is trained on them.
      weight: of the mean over all U examples; the caller multiplies by it.
      ramp: fraction of training over which the loss grows linearly from 0; 0 disables it.

    Raises:
      BadInput: for a negative weight, or a ramp outside [0, 1].

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import consistency
      >>> from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
      >>> method = consistency.Match(mask=consistency.ConfidenceThreshold(0.8))
      >>> views = AuxInputs(
      ...     logits={"weak": jnp.array([[3.0, 0.0], [0.5, 0.0]]), "strong": jnp.zeros((2, 2))},
      ...     labels=jnp.array([0]),
      ...     mask=jnp.array([True]),
      ...     unlabelled_index=jnp.arange(2),
      ...     labelled_index=jnp.arange(1),
      ...     heads={},
      ...     view_params={},
      ...     progress=jnp.zeros(()),
      ...     key=jax.random.key(0),
      ... )
      >>> loss, _, metrics = method.update(views, method.init(DatasetSizes(2, 2, 1)))
      >>> [round(x, 2) for x in loss.tolist()], float(metrics["mask_rate"])
      ([0.69, 0.0], 0.5)
    """

    align: Align = NO_ALIGNMENT
    target: Target = HARD_LABELS
    mask: Mask = NO_MASK
    divergence: Divergence = CROSS_ENTROPY
    terms: tuple[Term, ...] = ()
    target_view: View = "weak"
    student_view: View = "strong"
    weight: float = 1.0
    ramp: float = 0.0

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), ramp=(0.0, 1.0))

    @property
    def views(self) -> tuple[View, ...]:
        """Requested views."""
        return (self.target_view, self.student_view)

    def init(self, sizes: DatasetSizes) -> MatchState:
        """Returns the initial states of the parts."""
        terms = tuple(term.init(sizes) for term in self.terms)
        return MatchState(self.align.init(sizes), self.mask.init(sizes), terms)

    def update(self, views: AuxInputs, state: MatchState) -> AuxUpdate:
        """Maps views to per-example losses `[n]`, the next state and metrics."""
        state = jax.lax.stop_gradient(state)
        prediction, align = self.predict(views, state)
        weights, mask, metrics = self.mask.update(prediction, views, state.mask)
        logits = views.outputs(self.student_view)
        losses = self.divergence(logits, self.target(prediction))
        weights = weights.astype(losses.dtype)
        loss = per_example_mean(jnp.where(weights > 0, weights * losses, 0.0))
        term_states = []
        for term, term_state in zip(self.terms, state.terms, strict=True):
            value, term_state = term.update(prediction, logits, weights, term_state)
            loss = loss + term.weight * value
            term_states.append(term_state)
            metrics = {**metrics, term.name: value}
        metrics = {"mask_rate": weights.mean(), **metrics}
        return AuxUpdate(
            linear_ramp_up(loss, views, self.ramp),
            MatchState(align, mask, tuple(term_states)),
            metrics,
        )

    def predict(self, views: AuxInputs, state: MatchState) -> tuple[Prediction, Tree]:
        """Returns the prediction for the target view and the next state of the alignment."""
        log_probs = jax.nn.log_softmax(jax.lax.stop_gradient(views.outputs(self.target_view)))
        aligned, align = self.align.update(log_probs, views, state.align)
        return Prediction(log_probs, aligned), align


def per_example_mean(losses: jax.Array) -> jax.Array:
    """Mean over all but the first axis, `[n]`."""
    return losses.reshape(losses.shape[0], -1).mean(1)
