"""CutMix of examples: the rectangle of `cutmix`, maps per pixel, boxes and values by hand."""

import jax
import numpy as np
import pytest

from mtl_jax import augment
from mtl_jax.augment.example import Example, cutmix_examples
from mtl_jax.augment.example.cutmix import mix_boxes
from mtl_jax.core.validation import BadInput
from tests.augment.example.samples import KINDS, batch

KEY = jax.random.key(0)
RATIO = np.array([0.9, 0.6, 0.3, 1.0, 0.0, 0.5], np.float32)
NONE = [-1.0, 0.0, 0.0, 0.0, 0.0]


def pair():
    first = batch(6)
    del first.labels["scene"]
    return first, jax.tree.map(lambda array: np.roll(array, 1, 0), first)


def test_every_pixel_has_the_labels_of_its_image(variant):
    first, second = pair()
    mix = variant(lambda *args: cutmix_examples(*args, dict(KINDS)))
    mixed, fraction = mix(KEY, first, second, RATIO)
    image, actual = augment.cutmix(KEY, first.inputs, second.inputs, RATIO)
    np.testing.assert_array_equal(mixed.inputs, image)
    np.testing.assert_array_equal(fraction, actual)
    pasted = (np.asarray(mixed.inputs) == second.inputs).all(-1)
    np.testing.assert_allclose(1 - pasted.mean((1, 2)), fraction, atol=1e-6)
    assert 0.2 < pasted.mean() < 0.8
    for name in ("parts", "heat", "depth", "surface"):
        for index in range(6):
            wanted = first.labels[name][index].copy()
            wanted[pasted[index]] = second.labels[name][index][pasted[index]]
            np.testing.assert_array_equal(mixed.labels[name][index], wanted)
    share = np.asarray(fraction)[:, None]
    tags = share * first.labels["tags"] + (1 - share) * second.labels["tags"]
    np.testing.assert_allclose(mixed.labels["tags"], tags, atol=1e-6)
    assert mixed.labels["things"].shape == (6, 6, 5)
    for index in range(6):
        rows, columns = pasted[index].any(1), pasted[index].any(0)
        both = (labels["things"][index] for labels in (first.labels, second.labels))
        wanted = mix_boxes(*both, rows, columns, 0.25)
        np.testing.assert_array_equal(mixed.labels["things"][index], wanted)


def test_boxes_in_and_out_of_the_rectangle(variant):
    rows, columns = np.zeros(10, bool), np.zeros(12, bool)
    rows[2:8], columns[4:10] = True, True  # The rectangle 4, 2, 10, 8.
    boxes = np.array([[0, 0, 0, 3, 3], [1, 5, 3, 8, 7], [2, 2, 2, 6, 6], NONE], np.float32)
    found = variant(lambda *args: mix_boxes(*args, 0.3))(boxes, boxes, rows, columns)
    kept = [[0, 0, 0, 3, 3], NONE, [2, 2, 2, 6, 6], NONE]
    pasted = [NONE, [1, 5, 3, 8, 7], [2, 4, 2, 6, 6], NONE]
    np.testing.assert_array_equal(found, kept + pasted)
    anything = mix_boxes(boxes, boxes, rows, columns, 0.0)  # But not what is hidden altogether.
    np.testing.assert_array_equal(anything, found)
    strict = mix_boxes(boxes, boxes, rows, columns, 0.6)
    np.testing.assert_array_equal(strict, [kept[0], NONE, NONE, NONE, NONE, pasted[1], NONE, NONE])


def test_no_rectangle_pastes_no_box():
    boxes = np.array([[0, 0, 0, 3, 3]], np.float32)
    found = mix_boxes(boxes, boxes, np.zeros(10, bool), np.zeros(12, bool), 0.0)
    np.testing.assert_array_equal(found, [boxes[0], NONE])


def test_a_missing_value_counts_only_if_its_image_is_seen():
    first, second = pair()
    value = np.arange(6, dtype=np.float32)
    one = Example(first.inputs, {"age": value})
    other = Example(second.inputs, {"age": np.full(6, np.nan, np.float32)})
    mixed, fraction = cutmix_examples(KEY, one, other, RATIO, {})
    wanted = np.where(np.asarray(fraction) == 1.0, value, np.nan)
    assert np.isnan(wanted).sum() == 5
    np.testing.assert_array_equal(mixed.labels["age"], wanted)


def test_bad_input():
    first, second = pair()
    scene = Example(first.inputs, {"scene": np.arange(6, dtype=np.int32)})
    with pytest.raises(BadInput, match=r"cutmix_examples\.first\.labels must be floats .*'scene'"):
        cutmix_examples(KEY, scene, scene, RATIO, {})
    with pytest.raises(BadInput, match=r"cutmix_examples\.kinds .*'things'"):
        cutmix_examples(KEY, first, second, RATIO, {"depth": "depth", "surface": "normals"})
    with pytest.raises(BadInput, match=r"second\.labels must be those of the first, \['scene'\]"):
        cutmix_examples(KEY, scene, second, RATIO, {})
    with pytest.raises(BadInput, match=r"cutmix_examples\.min_visible must"):
        cutmix_examples(KEY, first, second, RATIO, dict(KINDS), -0.1)
