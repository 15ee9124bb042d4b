"""Boxes `[M, 5]` of class, x0, y0, x1 and y1: moved, clipped, and dropped where little is left."""

import jax
import jax.numpy as jnp

from mtl_jax.augment.example.affine_map import AffineMap, inverse
from mtl_jax.core.example_transform import Size


def move_boxes(boxes: jax.Array, mapping: AffineMap) -> jax.Array:
    """The smallest upright boxes around the transformed ones; `mapping` is from output to source."""
    linear = inverse(mapping.linear).astype(boxes.dtype)
    corners = boxes[:, 1:].reshape(-1, 2, 2) - mapping.offset.astype(boxes.dtype)[None, None]
    # Products `[M, corner, output axis, input axis]`; a side of the smallest box is the sum of
    # the smallest or of the largest terms.
    terms = linear[None, None] * corners[:, :, None, :]
    moved = jnp.concatenate([terms.min(1).sum(-1), terms.max(1).sum(-1)], axis=1)
    return jnp.concatenate([boxes[:, :1], moved], axis=1)


def clip_boxes(boxes: jax.Array, low: jax.Array, high: jax.Array, min_visible: float) -> jax.Array:
    """Clips boxes to a rectangle and drops those of which too little is left.

    Args:
      boxes: `[M, 5]`.
      low: x and y of the rectangle's upper left corner, `[2]`.
      high: x and y of its lower right corner, `[2]`.
      min_visible: least fraction of a box's area that must be left.

    Returns:
      The boxes `[M, 5]`.
    """
    low, high = low.astype(boxes.dtype)[None], high.astype(boxes.dtype)[None]
    sides = [boxes[:, 1:3].clip(low, high), boxes[:, 3:].clip(low, high)]
    clipped = jnp.concatenate([boxes[:, :1], *sides], axis=1)
    left = areas(clipped)
    return keep_boxes(clipped, (left > 0.0) & (left >= min_visible * areas(boxes)))


def clip_to_image(boxes: jax.Array, size: Size, min_visible: float) -> jax.Array:
    """Clips boxes to an image of a given height and width; see `clip_boxes`."""
    return clip_boxes(boxes, jnp.zeros(2, jnp.int32), jnp.array(size[::-1]), min_visible)


def areas(boxes: jax.Array) -> jax.Array:
    """Areas `[M]`; 0 of a box whose corners are in the wrong order."""
    return (boxes[:, 3:] - boxes[:, 1:3]).clip(0.0).prod(-1)


def keep_boxes(boxes: jax.Array, kept: jax.Array) -> jax.Array:
    """Replaces boxes that are not in `kept` `[M]`, or none, by class -1 and zeros."""
    kept = kept & (boxes[:, 0] >= 0.0)
    none = jnp.array([[-1.0, 0.0, 0.0, 0.0, 0.0]], boxes.dtype)
    return jnp.where(kept[:, None], boxes, none)
