"""Outputs and labels of any leading shape as flat entries with a mask of the known ones."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import promote_float32
from mtl_jax.losses.masked import known_entries


class Entries(NamedTuple):
    """Outputs and labels of M entries, examples or pixels, and which labels are known."""

    outputs: jax.Array  # [M, C]
    labels: jax.Array  # [M] for classes, else [M, C]
    known: jax.Array  # bool, of the labels' shape


def class_entries(name: str, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Entries:
    """Flattens logits `[B, ..., C]`, classes `[B, ...]` and a bool mask `[B]`.

    Known are the entries of examples in the mask whose label is not negative.

    Raises:
      ValueError: at trace time, naming the metric, if shapes or dtypes do not match.
    """
    fits = logits.ndim > 1 and labels.shape == logits.shape[:-1] and mask.shape == logits.shape[:1]
    integer = jnp.issubdtype(labels.dtype, jnp.integer)
    if not fits or not integer or mask.dtype != bool:
        raise ValueError(
            f"{name} needs logits [B, ..., C], integer labels [B, ...] and a mask of bools [B], "
            f"not {logits.shape}, {labels.dtype}{labels.shape} and {mask.dtype}{mask.shape}"
        )
    known = known_entries(labels, mask) & (labels >= 0)
    logits = promote_float32(logits).reshape(-1, logits.shape[-1])
    return Entries(logits, labels.reshape(-1).astype(jnp.int32), known.reshape(-1))


def label_entries(name: str, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> Entries:
    """Flattens logits `[B, ..., D]`, binary labels and a bool mask `[B]`.

    Labels are `[B, ..., D]`, or `[B, ...]` when D is 1; NaN or negative where missing, which
    becomes 0.

    Raises:
      ValueError: at trace time, naming the metric, if shapes or dtypes do not match.
    """
    if logits.shape[-1:] == (1,) and labels.shape == logits.shape[:-1]:
        labels = labels[..., None]
    fits = logits.ndim > 1 and labels.shape == logits.shape
    if not fits or mask.shape != logits.shape[:1] or mask.dtype != bool:
        raise ValueError(
            f"{name} needs logits [B, ..., D], labels of the same shape, or [B, ...] when D is 1, "
            f"and a mask of bools [B], not {logits.shape}, {labels.shape} and "
            f"{mask.dtype}{mask.shape}"
        )
    known = known_entries(labels, mask)
    if labels.dtype != bool:
        known = known & (labels >= 0)
    logits = promote_float32(logits)
    labels = jnp.where(known, labels.astype(logits.dtype), 0)
    shape = (-1, logits.shape[-1])
    return Entries(logits.reshape(shape), labels.reshape(shape), known.reshape(shape))


def number_entries(
    name: str, predictions: jax.Array, targets: jax.Array, mask: jax.Array
) -> Entries:
    """Flattens predictions and targets `[B, ..., D]` and a bool mask `[B]`.

    Targets may be `[B, ...]` when D is 1; NaN is a missing one, and becomes 0.

    Raises:
      ValueError: at trace time, naming the metric, if shapes or dtypes do not match.
    """
    if predictions.shape[-1:] == (1,) and targets.shape == predictions.shape[:-1]:
        targets = targets[..., None]
    fits = predictions.ndim > 1 and targets.shape == predictions.shape
    if not fits or mask.shape != predictions.shape[:1] or mask.dtype != bool:
        raise ValueError(
            f"{name} needs predictions and targets [B, ..., D] and a mask of bools [B], not "
            f"{predictions.shape}, {targets.shape} and {mask.dtype}{mask.shape}"
        )
    known = known_entries(targets, mask)
    predictions = promote_float32(predictions)
    targets = jnp.where(known, targets, 0).astype(predictions.dtype)
    shape = (-1, predictions.shape[-1])
    return Entries(predictions.reshape(shape), targets.reshape(shape), known.reshape(shape))
