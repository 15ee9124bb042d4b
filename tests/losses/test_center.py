"""Center loss: targets by hand, what is missing, and gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import losses, metrics
from mtl_jax.core.validation import BadInput
from mtl_jax.losses.center_targets import center_targets, gaussian_radius
from mtl_jax.losses.masked import masked_mean

NONE = [-1.0, 0.0, 0.0, 0.0, 0.0]


def outputs_for(boxes, shape, stride):
    """Outputs that have every box as it is."""
    targets = jax.vmap(lambda one: center_targets(one, shape, stride))(boxes)
    maps = {"heatmap": jnp.where(targets.heatmap == 1.0, 20.0, -20.0)}
    for name in ("size", "offset"):
        maps[name] = jnp.zeros((len(boxes), *shape[:2], 2))
    for n, (cells, mask) in enumerate(zip(targets.cell, targets.mask, strict=True)):
        for m in np.flatnonzero(mask):
            row, column = cells[m]
            for name in ("size", "offset"):
                maps[name] = maps[name].at[n, row, column].set(getattr(targets, name)[n, m])
    return maps


def random_outputs(seed, shape, count=2):
    keys = jax.random.split(jax.random.key(seed), 3)
    kinds = zip(("heatmap", "size", "offset"), (shape[2], 2, 2), keys, strict=True)
    return {name: jax.random.normal(key, (count, *shape[:2], n)) for name, n, key in kinds}


def test_targets_by_hand():
    """A box of 16 x 8 pixels, 4 x 2 cells of 4: its center is at x = 14, y = 9 of 4."""
    boxes = jnp.array([[1.0, 6.0, 5.0, 22.0, 13.0], NONE])
    targets = center_targets(boxes, (5, 8, 2), 4)
    assert targets.cell[0].tolist() == [2, 3] and targets.mask.tolist() == [True, False]
    assert targets.offset[0].tolist() == [0.5, 0.25]
    assert targets.size[0].tolist() == [4.0, 2.0]
    # sqrt((0.7 6)^2 + 4 0.7 0.3 8) - 0.7 6 = 0.7356: only the cell itself.
    assert targets.heatmap.sum() == 1.0 and targets.heatmap[2, 3, 1] == 1.0
    assert float(gaussian_radius(2.0, 4.0)) == pytest.approx(0.7356, abs=1e-4)


def test_heatmap_of_overlapping_boxes_is_their_maximum():
    boxes = jnp.array([[0.0, 0.0, 0.0, 12.0, 12.0], [0.0, 2.0, 0.0, 14.0, 12.0], NONE])
    both = center_targets(boxes, (16, 16, 1), 1).heatmap
    each = [center_targets(boxes[i : i + 1], (16, 16, 1), 1).heatmap for i in (0, 1)]
    np.testing.assert_allclose(both, jnp.maximum(*each), rtol=1e-5)
    radius = int(gaussian_radius(12.0, 12.0))
    assert radius == 3
    rows, columns = np.nonzero(each[0][..., 0])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 9, 3, 9)
    np.testing.assert_allclose(each[0][6, 7, 0], np.exp(-0.5 * (6 / 7) ** 2), rtol=1e-6)


def test_a_corrected_radius_keeps_the_overlap():
    """Both corners displaced by the radius, one way, inward or outward: the overlap is 0.7."""
    random = np.random.default_rng(0)
    for height, width in random.uniform(2, 60, (50, 2)):
        r = float(gaussian_radius(height, width, corrected=True))
        area = height * width
        moved = (height - r) * (width - r)
        inward = (height - 2 * r) * (width - 2 * r)
        overlaps = (
            moved / (2 * area - moved),
            inward / area,
            area / ((height + 2 * r) * (width + 2 * r)),
        )
        assert min(overlaps) == pytest.approx(0.7, abs=1e-4)
        assert r < gaussian_radius(height, width)


@pytest.mark.parametrize("stride", [1, 4, 8])
def test_perfect_outputs_have_no_loss_and_decode_to_the_boxes(stride):
    shape = (10, 12, 3)
    corner = np.random.default_rng(0).uniform(0, 4, (2, 5, 2)) + 2 * np.arange(5)[:, None] % 7
    kinds = np.arange(10).reshape(2, 5, 1) % 3
    boxes = np.concatenate([kinds, corner, corner + np.array([1.7, 2.2])], 2)
    boxes = jnp.array(boxes * [1, *[stride] * 4], jnp.float32)
    boxes = boxes.at[1, 3:].set(jnp.array(NONE))
    outputs = outputs_for(boxes, shape, stride)
    # Probabilities are clipped at 1e-4, so its square is left in each of the cells elsewhere.
    loss = losses.center_loss(outputs, boxes, stride=stride)
    assert (loss < 1e-6).all()
    found = metrics.decode_centers(outputs, stride=stride, top=7)
    for n, count in enumerate((5, 3)):
        assert (found["scores"][n] > 0.5).sum() == count
        rows = np.column_stack([found["classes"][n, :count], found["boxes"][n, :count]])
        given, wanted = (each[each[:, 1].argsort()] for each in (rows, np.array(boxes[n, :count])))
        np.testing.assert_allclose(given, wanted, rtol=1e-5, atol=1e-5)


def test_padding_changes_nothing_and_no_label_is_no_loss():
    shape = (6, 7, 2)
    outputs = random_outputs(0, shape)
    box = [1.0, 3.0, 2.0, 15.0, 17.0]
    boxes, more = jnp.array([[box], [NONE]]), jnp.array([[NONE, box, NONE], [NONE] * 3])
    loss = losses.center_loss(outputs, boxes)
    np.testing.assert_allclose(loss, losses.center_loss(outputs, more), rtol=1e-6)
    p = jax.nn.sigmoid(outputs["heatmap"][1])
    np.testing.assert_allclose(loss[1], -(p**2 * jnp.log1p(-p)).sum(), rtol=1e-5)

    missing = boxes.at[0].set(jnp.nan)
    value = functools.partial(losses.center_loss, boxes=missing)
    assert value(outputs)[0] == 0.0 and value(outputs)[1] == loss[1]
    grads = jax.grad(lambda outputs: value(outputs).sum())(outputs)
    assert all((grad[0] == 0).all() and np.isfinite(grad).all() for grad in grads.values())

    mean = functools.partial(masked_mean, losses.center_loss, mask=jnp.ones(2, bool))
    np.testing.assert_allclose(mean(outputs, labels=boxes), loss.mean(), rtol=1e-6)
    np.testing.assert_allclose(mean(outputs, labels=missing), loss[1], rtol=1e-6)


def test_gradients_of_sizes_are_at_centers_only():
    outputs, boxes = random_outputs(1, (6, 7, 2), 1), jnp.array([[[1.0, 4, 8, 20, 20], NONE]])
    grads = jax.grad(lambda outputs: losses.center_loss(outputs, boxes).sum())(outputs)
    for name, weight in (("size", 0.1), ("offset", 1.0)):
        assert np.argwhere(np.abs(grads[name]).sum(-1)).tolist() == [[0, 3, 3]]
        np.testing.assert_allclose(np.abs(grads[name][0, 3, 3]), weight, rtol=1e-6)


def test_mean_of_an_image_has_its_own_count():
    """Two boxes far apart have the mean of what they have alone, but for the cells elsewhere."""
    outputs = random_outputs(2, (16, 16, 1), 1) | {"heatmap": jnp.full((1, 16, 16, 1), -20.0)}
    one, two = [0.0, 4, 4, 8, 8], [0.0, 40, 44, 52, 52]
    alone = [losses.center_loss(outputs, jnp.array([[box]])) for box in (one, two)]
    both = losses.center_loss(outputs, jnp.array([[one, two]]))
    np.testing.assert_allclose(both, (alone[0] + alone[1]) / 2, rtol=1e-5)


def test_bad_input():
    outputs, boxes = random_outputs(0, (4, 4, 2)), jnp.zeros((2, 3, 5))
    with pytest.raises(BadInput, match=r"center_loss\.stride must be at least 1, not 0"):
        losses.center_loss(outputs, boxes, stride=0)
    for wrong in (
        outputs["heatmap"],
        {"heatmap": 1.0},
        outputs | {"size": jnp.zeros((2, 4, 4, 1))},
    ):
        with pytest.raises(ValueError, match=r"center_loss needs a dict of heatmap \[B, h, w, C\]"):
            losses.center_loss(wrong, boxes)
    for wrong in (boxes[:1], boxes[..., :4], boxes[0]):
        with pytest.raises(ValueError, match=r"boxes \[B, M, 5\], not"):
            losses.center_loss(outputs, wrong)
