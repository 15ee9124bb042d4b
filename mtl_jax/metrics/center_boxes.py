"""Boxes of the outputs of detection by centers."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def decode_centers(
    outputs: Mapping[str, Any], *, stride: int = 4, top: int = 100
) -> dict[str, np.ndarray]:
    """The boxes of `nets.heads.Center`: the best peaks of the heatmaps of all classes.

    A peak is a cell that is the largest of its 3 x 3 neighborhood in the heatmap of its class. Its
    box has the center `cell + offset` and the size given there, and its score is the probability.

    Args:
      outputs: "heatmap", logits `[N, h, w, C]`; "size" and "offset", `[N, h, w, 2]`, in cells.
      stride: pixels of the image along a side of a cell.
      top: the number of boxes, at most `h w C`.

    Returns:
      "boxes" `[N, top, 4]`, corners x0, y0, x1, y1 in pixels, "scores" `[N, top]`, the largest
      first, 0 where there are fewer peaks, and "classes" `[N, top]`.

    Reference: Zhou et al., Objects as Points, 2019, Section 3, its paragraph on inference
      (https://arxiv.org/abs/1904.07850).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> outputs = {"heatmap": np.full((1, 3, 3, 2), -9.0), "size": np.full((1, 3, 3, 2), 2.0)}
      >>> outputs["heatmap"][0, 1, 2, 1] = 5.0
      >>> found = metrics.decode_centers(outputs | {"offset": np.full((1, 3, 3, 2), 0.5)}, top=1)
      >>> found["boxes"].tolist(), found["classes"].tolist()
      ([[[6.0, 2.0, 14.0, 10.0]]], [[1]])
    """
    found = find_centers(outputs, stride=stride, top=top)
    return {name: np.asarray(array) for name, array in found.items()}


def find_centers(
    outputs: Mapping[str, Any], *, stride: int = 4, top: int = 100
) -> dict[str, jax.Array]:
    """`decode_centers` as a function that can be traced."""
    maps = {name: jnp.asarray(outputs[name]) for name in ("heatmap", "size", "offset")}
    count, _, columns, classes = maps["heatmap"].shape
    around = jax.lax.reduce_window(
        maps["heatmap"], -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME"
    )
    scores = jnp.where(maps["heatmap"] == around, jax.nn.sigmoid(maps["heatmap"]), 0.0)
    scores = scores.reshape(count, -1)
    scores, index = jax.lax.top_k(scores, min(top, scores.shape[1]))
    cell = index // classes
    corner = jnp.stack([cell % columns, cell // columns], -1)
    size, offset = (
        jnp.take_along_axis(maps[name].reshape(count, -1, 2), cell[..., None], 1)
        for name in ("size", "offset")
    )
    center, half = corner.astype(offset.dtype) + offset, size.clip(0.0) / 2.0
    return {
        "boxes": stride * jnp.concatenate([center - half, center + half], -1),
        "scores": scores,
        "classes": index % classes,
    }
