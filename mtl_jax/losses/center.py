"""Loss of detection by centers."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require
from mtl_jax.losses.center_targets import center_targets

LEAST = 1e-4  # Probabilities are clipped to `[LEAST, 1 - LEAST]`.
BOUND = math.log((1.0 - LEAST) / LEAST)
CHANNELS = {"size": 2, "offset": 2}


def center_loss(
    outputs: dict[str, jax.Array],
    boxes: jax.Array,
    *,
    stride: int = 4,
    size_weight: float = 0.1,
    offset_weight: float = 1.0,
    corrected_radius: bool = False,
) -> jax.Array:
    """CenterNet's loss per image, `L_k + 0.1 L_size + L_off`, of the outputs of `nets.heads.Center`.

    `L_k = -1/N sum (1 - p)^2 log p` over the cells of centers, and `(1 - y)^4 p^2 log(1 - p)` in
    its place elsewhere, with `p = sigmoid(z)`, clipped to `[1e-4, 1 - 1e-4]`, and heatmaps y with
    Gaussians around the centers of the N boxes. `L_size` and `L_off` are `1/N sum |f - t|_1` at
    the cells of centers, of width and height and of the offset of the center from the corner of its
    cell, both in cells. An image without boxes has N = 1, one that is not labelled no loss and
    no gradient. As a loss of a task: `functools.partial(losses.center_loss, stride=8)`.

    As in the paper, N is that of each image. The authors' code has one N for the whole batch, and
    half of `L_size` and `L_off`.

    Args:
      outputs: "heatmap", logits `[B, h, w, C]`; "size" and "offset", `[B, h, w, 2]`.
      boxes: class, x0, y0, x1 and y1 in pixels of the image, `[B, M, 5]`; class -1 for padding, NaN
        for an image without a label.
      stride: pixels of the image along a side of a cell.
      size_weight: weight of `L_size`.
      offset_weight: weight of `L_off`.
      corrected_radius: whether the radii of the Gaussians are the roots of CornerNet's equations
        instead of the larger values of published code.

    Returns:
      The loss `[B]`, with the dtype of the heatmap.

    Raises:
      BadInput: for a stride below 1.
      ValueError: at trace time, if outputs or boxes have other shapes.

    Reference: Zhou et al., Objects as Points, 2019, Eqs. 1 to 4 (https://arxiv.org/abs/1904.07850).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import losses
      >>> maps = {"size": jnp.zeros((1, 4, 4, 2)), "offset": jnp.zeros((1, 4, 4, 2))}
      >>> maps["heatmap"] = jnp.full((1, 4, 4, 3), -9.0)
      >>> boxes = jnp.array([[[-1.0, 0.0, 0.0, 0.0, 0.0]]])
      >>> losses.center_loss(maps, boxes).round(3).tolist()
      [0.0]
    """
    require(stride >= 1, "center_loss", "stride", "must be at least 1", stride)
    require_shapes(outputs, boxes)
    heatmap = outputs["heatmap"]

    def one(logits, size, offset, boxes):
        targets = center_targets(boxes, logits.shape, stride, corrected_radius)
        rows, columns = targets.cell.T
        mask = targets.mask[:, None]
        sizes = jnp.where(mask, jnp.abs(size[rows, columns] - targets.size), 0.0).sum()
        offsets = jnp.where(mask, jnp.abs(offset[rows, columns] - targets.offset), 0.0).sum()
        centers = center_focal_loss(logits, targets.heatmap)
        loss = centers + size_weight * sizes + offset_weight * offsets
        loss = loss / jnp.maximum(targets.mask.sum(), 1).astype(loss.dtype)
        return jnp.where(jnp.isnan(boxes).all(), 0.0, loss)

    labels = boxes.astype(heatmap.dtype)
    return jax.vmap(one)(heatmap, outputs["size"], outputs["offset"], labels)


def center_focal_loss(logits: jax.Array, heatmap: jax.Array) -> jax.Array:
    """The sum of `L_k` over all cells, `[]`, from logits and targets `[h, w, C]`."""
    # As clipped probabilities, without gradient where they are.
    logits = jnp.clip(logits, -BOUND, BOUND)
    p, log_p, log_not_p = (
        jax.nn.sigmoid(logits),
        jax.nn.log_sigmoid(logits),
        jax.nn.log_sigmoid(-logits),
    )
    center = jnp.square(1.0 - p) * log_p
    elsewhere = (1.0 - heatmap) ** 4 * jnp.square(p) * log_not_p
    return -jnp.where(heatmap == 1.0, center, elsewhere).sum()


def require_shapes(outputs: Any, boxes: jax.Array) -> None:
    """Requires outputs and boxes as in `center_loss`.

    Raises:
      ValueError: at trace time, if they are not.
    """
    given = isinstance(outputs, dict) and {"heatmap", *CHANNELS} <= outputs.keys()
    shapes = {name: jnp.shape(outputs[name]) for name in ("heatmap", *CHANNELS)} if given else {}
    fits = given and len(shapes["heatmap"]) == 4
    fits = fits and all(shapes[k] == (*shapes["heatmap"][:3], n) for k, n in CHANNELS.items())
    if not fits or boxes.ndim != 3 or boxes.shape[::2] != (shapes["heatmap"][0], 5):
        raise ValueError(
            "center_loss needs a dict of heatmap [B, h, w, C], size and offset [B, h, w, 2], and "
            f"boxes [B, M, 5], not {shapes if given else type(outputs).__name__} and {boxes.shape}"
        )
