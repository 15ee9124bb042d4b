"""FixMatch: a confident guess on the weak view is the label of the strong view."""

import dataclasses
import math

import chex
import jax
import jax.numpy as jnp

from mtl_jax.checks import require_number
from mtl_jax.losses import cross_entropy
from mtl_jax.protocols import Views


@dataclasses.dataclass(frozen=True)
class FixMatch:
    """Consistency with hard pseudo-labels above a fixed threshold.

    `1[max softmax(weak) >= threshold] * H(argmax weak, strong)`, per example. No gradient
    flows into the weak view.

    Attributes:
      threshold: confidence below which an example is left out.
      weight: of the mean over all U examples; the caller multiplies by it.

    Raises:
      BadInput: for a threshold outside [0, 1] or a negative weight.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Eq. 4 (https://arxiv.org/abs/2001.07685).
    """

    threshold: float = 0.95
    weight: float = 1.0

    def __post_init__(self):
        require_number(self, threshold=(0.0, 1.0), weight=(0.0, math.inf))

    def init(self, num_classes: int, num_unlabelled: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the masked loss `[U]`, the state, and the share that counted."""
        loss, mask = fixmatch(views.strong, views.weak, threshold=self.threshold)
        return loss, state, {"mask_rate": mask.mean()}


def fixmatch(
    strong: jax.Array, weak: jax.Array, *, threshold: float = 0.95
) -> tuple[jax.Array, jax.Array]:
    """FixMatch consistency loss.

    `1[max softmax(weak) >= threshold] * H(argmax weak, strong)`, per example. No gradient
    flows into `weak`. The mean is left to the caller and is over *all* examples, the masked
    ones too, as in the paper.

    Args:
      strong: logits of strongly augmented inputs, `[..., C]`.
      weak: logits of weakly augmented inputs, `[..., C]`.
      threshold: confidence below which an example is left out.

    Returns:
      The loss `[...]`, and the mask `[...]` of examples that counted.

    Raises:
      AssertionError: if the shapes differ or are no floats, when traced.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Eq. 4 (https://arxiv.org/abs/2001.07685).
    """
    chex.assert_equal_shape([strong, weak])
    chex.assert_type([strong, weak], float)
    weak = jax.lax.stop_gradient(weak)
    mask = jax.nn.softmax(weak).max(-1) >= threshold
    return jnp.where(mask, cross_entropy(strong, weak.argmax(-1)), 0.0), mask
