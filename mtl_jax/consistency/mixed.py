"""Targets of mixed images, mixed as the images are, from labels where available."""

import jax
import jax.numpy as jnp

from mtl_jax.augment import mixup
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.views import MixedView, view_key
from mtl_jax.losses import soft_cross_entropy


def mixed_targets(targets: jax.Array, views: AuxInputs, request: MixedView) -> jax.Array:
    """Targets `r t_i + (1 - r) t_j` of a mixed view.

    Args:
      targets: probabilities `[n, ..., C]` of the view's images, in their order.
      views: holds the sampled mixing.
      request: the mixed view.

    Returns:
      The mixed probabilities `[n, ..., C]`.
    """
    drawn = views.view_params[view_key(request)]
    return mixup(targets, targets[drawn.partner], drawn.ratio)


def labels_or(views: AuxInputs, guess: jax.Array) -> jax.Array:
    """Labels as one-hot vectors, and the predictions where the label is missing.

    Args:
      views: with labels `[B]`.
      guess: predicted probabilities `[B, C]` of the labelled images.

    Returns:
      Probabilities `[B, C]`.
    """
    labels = jnp.where(views.mask, views.labels, 0)
    known = jax.nn.one_hot(labels, guess.shape[-1], dtype=guess.dtype)
    return jnp.where(views.mask[:, None], known, guess)


def labelled_part(views: AuxInputs, logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean cross-entropy `[]` of the first B mixed images, over those that have a label."""
    size = views.mask.shape[0]
    each = jnp.where(views.mask, soft_cross_entropy(logits[:size], targets[:size]), 0.0)
    return each.sum() / jnp.maximum(views.mask.sum().astype(each.dtype), 1.0)
