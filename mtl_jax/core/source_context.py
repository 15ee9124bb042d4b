"""Inputs of `AuxiliaryLoss.precompute`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class SourceContext(NamedTuple):
    """The labelled examples of one task, and the features of the source model."""

    inputs: jax.Array  # all labelled examples, not augmented, [L, ...]
    labels: jax.Array  # [L, ...]
    mask: jax.Array  # [L], whether the label is known
    num_classes: int  # C, outputs of the task
    # `source_features(images, layer, keep) -> EncoderOutput` of the source model, with the
    # channels of a layer multiplied by `keep` [C] if it is given.
    source_features: Callable[..., Any]
