"""Consistency across tasks: what is predicted for one task fits the label of another."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import require_count, require_number


@typed
@dataclasses.dataclass(frozen=True)
class CrossTask:
    """Cross-task consistency of partially labelled examples, a setting of a run.

    For every labelled image and every pair of a task s whose label is missing and a task t
    whose label is there, the loss of s gets `weight` times `cross_task` of the embeddings
    `m(prediction of s)` and `m(label of t)`: m is one small net for all pairs, with a first
    layer for each task and a scale and a shift of each layer for each pair, and its outputs are
    as long as the features.

    Attributes:
      weight: of the mean over the B labelled images.
      features: how much both embeddings are held to the image's features.
      width: of m's hidden layer.

    Raises:
      BadInput: for a negative weight, or a width below 1.

    Reference: Li, Liu and Bilen, Learning Multiple Dense Prediction Tasks from Partially
      Annotated Data, CVPR 2022, Section 3 (https://arxiv.org/abs/2111.14893); theirs is of dense
      tasks, with a convolutional m and Gumbel samples of classes, here m takes probabilities.
    """

    weight: float = 2.0
    features: float = 0.5
    width: int = 64

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), features=(0.0, math.inf))
        require_count(self, width=1)


def cross_task(
    prediction: jax.Array, label: jax.Array, features: jax.Array, *, share: float = 0.5
) -> jax.Array:
    """`1 - cos(p, l) + share ((1 - cos(p, f)) + (1 - cos(l, f)))`, per example.

    The second term keeps both embeddings from one constant. No gradient flows into f.

    Args:
      prediction: embeddings p of what is predicted for the task without a label, `[..., D]`.
      label: embeddings l of the label of the other task, `[..., D]`.
      features: f of the image, `[..., D]`.
      share: of the second term.

    Returns:
      The loss `[...]`.

    Reference: Li, Liu and Bilen, CVPR 2022, Section 3 (https://arxiv.org/abs/2111.14893).
    """
    features = jax.lax.stop_gradient(features)
    held = 2.0 - cosine(prediction, features) - cosine(label, features)
    return 1.0 - cosine(prediction, label) + share * held


def cosine(one: jax.Array, other: jax.Array) -> jax.Array:
    """Cosine of vectors `[..., D]`; 0, without gradient, where one of them is 0."""
    squares = jnp.square(one).sum(-1) * jnp.square(other).sum(-1)
    fine = squares > 0
    # Both branches finite, or the gradient of a 0 is NaN.
    length = jnp.sqrt(jnp.where(fine, squares, 1.0))
    return jnp.where(fine, (one * other).sum(-1) / length, 0.0)
