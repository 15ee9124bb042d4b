"""Boxes: moved by their corners, clipped and dropped, by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.augment.example.affine_map import AffineMap
from mtl_jax.augment.example.boxes import clip_to_image, move_boxes

DRAW = np.random.default_rng(0)
NONE = [-1.0, 0.0, 0.0, 0.0, 0.0]


def boxes_of(count):
    low = DRAW.uniform(0, 10, (count, 2))
    return np.c_[np.arange(count), low, low + DRAW.uniform(0.5, 8, (count, 2))].astype(np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_boxes_surround_their_transformed_corners(variant, seed):
    draw = np.random.default_rng(seed)
    linear, offset = np.eye(2) + draw.normal(0, 0.4, (2, 2)), draw.normal(0, 3, 2)
    boxes = boxes_of(6)
    mapping = AffineMap(jnp.array(linear, "f4"), jnp.array(offset, "f4"), jnp.ones(()))
    found = np.asarray(variant(move_boxes)(boxes, mapping))
    for box, moved in zip(boxes, found, strict=True):
        _, x0, y0, x1, y1 = box
        corners = np.array([(x, y) for x in (x0, x1) for y in (y0, y1)])
        forward = np.linalg.solve(linear, (corners - offset).T).T
        wanted = [box[0], *forward.min(0), *forward.max(0)]
        np.testing.assert_allclose(moved, wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        ([3, 1, 2, 5, 4], [3, 1, 2, 5, 4]),  # Inside of 6 x 8, height and width.
        ([3, -2, 2, 2, 4], [3, 0, 2, 2, 4]),  # Half is left.
        ([3, -3, -1, 1, 1], NONE),  # An eighth is left.
        ([0, 6, 4, 10, 8], [0, 6, 4, 8, 6]),  # Just a quarter.
        ([0, 6, 4, 10.1, 8], NONE),
        ([0, 20, 20, 30, 30], NONE),
        ([0, 2, 2, 2, 5], NONE),  # No area.
        ([0, 4, 4, 2, 5], NONE),  # In the wrong order.
        ([-1, 1, 2, 5, 4], NONE),
    ],
)
def test_what_is_left_of_a_box(variant, box, wanted):
    clip = variant(lambda boxes: clip_to_image(boxes, (6, 8), 0.25))
    np.testing.assert_array_equal(clip(np.array([box, box], np.float32)), [wanted, wanted])


def test_any_part_will_do():
    box = np.array([[0, -9.0, 0, 0.5, 1]], np.float32)
    np.testing.assert_array_equal(clip_to_image(box, (6, 8), 0.0), [[0, 0, 0, 0.5, 1]])
    outside = np.array([[0, -9.0, 0, 0.0, 1]], np.float32)
    np.testing.assert_array_equal(clip_to_image(outside, (6, 8), 0.0), [NONE])
