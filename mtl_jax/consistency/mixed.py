"""Targets of mixed images, mixed as the images are, from labels where available."""

import jax
import jax.numpy as jnp

from mtl_jax.augment import mixup
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.views import View, view_key
from mtl_jax.losses import soft_cross_entropy


def mixed_targets(targets: jax.Array, views: AuxInputs, request: View) -> jax.Array:
    """Targets `r t_i + (1 - r) t_j` of a mixed view.

    Args:
      targets: probabilities `[n, ..., C]` of the view's images, in their order.
      views: holds the sampled mixing.
      request: the mixed view.

    Returns:
      The mixed probabilities `[n, ..., C]`.
    """
    params = views.view_params[view_key(request)]
    return mixup(targets, targets[params.partner], params.ratio)


def fill_missing_labels(views: AuxInputs, probs: jax.Array) -> jax.Array:
    """Labels as one-hot vectors, and the predictions where the label is missing.

    Args:
      views: with labels `[B]`.
      probs: predicted probabilities `[B, C]` of the labelled images.

    Returns:
      Probabilities `[B, C]`.
    """
    labels = jnp.where(views.mask, views.labels, 0)
    one_hot = jax.nn.one_hot(labels, probs.shape[-1], dtype=probs.dtype)
    return jnp.where(views.mask[:, None], one_hot, probs)


def labelled_mixed_loss(views: AuxInputs, logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean cross-entropy `[]` of the first B mixed images, over those that have a label."""
    size = views.mask.shape[0]
    losses = jnp.where(views.mask, soft_cross_entropy(logits[:size], targets[:size]), 0.0)
    return losses.sum() / jnp.maximum(views.mask.sum().astype(losses.dtype), 1.0)
