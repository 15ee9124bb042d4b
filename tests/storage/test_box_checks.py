"""Labels of boxes: the first that is none is named with its part."""

import functools

import numpy as np
import pytest

from mtl_jax import data, losses
from mtl_jax.core.validation import BadInput
from mtl_jax.storage.box_checks import takes_boxes
from mtl_jax.storage.run_data import load_run_data
from tests.rectangles import BOXES, COUNT, DETECTION, part

FINE = part(20, 0)


def run_on(boxes, split="train"):
    """A run whose boxes of one part are others."""
    parts = dict.fromkeys(("train", "validation", "test"), FINE)
    parts[split] = {**FINE, "boxes": boxes}
    return DETECTION.replace(data=data.Arrays(*parts.values()))


def changed(index, value):
    boxes = FINE["boxes"].copy()
    boxes[0, 0, index] = value
    return boxes


def test_boxes_come_as_they_are():
    boxes = FINE["boxes"].copy()
    boxes[1] = np.nan
    stream = load_run_data(run_on(boxes)).train.streams[""]
    np.testing.assert_array_equal(stream.labels["boxes"], boxes)
    assert stream.labelled.mask["boxes"].sum() == 19


def test_a_task_takes_boxes_by_its_loss():
    assert takes_boxes(BOXES) and not takes_boxes(COUNT)
    twice = functools.partial(functools.partial(losses.center_loss, stride=4), size_weight=1.0)
    assert takes_boxes(BOXES.replace(loss=twice))


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize(
    ("boxes", "text"),
    [
        (changed(0, 2), r"must have a class from 0 to 1, not \[2\.0"),
        (changed(0, 0.5), r"must have a class from 0 to 1, not \[0\.5"),
        (changed(0, -2), "must have a class from 0 to 1"),
        (changed(3, 0), r"must have an area, x0 < x1 and y0 < y1, not \["),
        (changed(1, -3), "must lie in the image, which begins at 0"),
        (changed(1, np.nan), "must be numbers, or NaN in all of an image without a label"),
        (changed(3, np.inf), "must be numbers"),
    ],
)
def test_what_is_no_box_is_named(boxes, text, split):
    with pytest.raises(BadInput, match=f"task 'boxes': a box of the {split} data {text}"):
        load_run_data(run_on(boxes, split))


def test_fractions_integers_and_other_shapes_are_refused():
    fractions = FINE["boxes"] / np.array([1, 32, 32, 32, 32], np.float32)
    with pytest.raises(BadInput, match=r"end at (1|0\.\d+); give pixels, not fractions"):
        load_run_data(run_on(fractions))
    for wrong in (FINE["boxes"].astype(int), FINE["boxes"][..., :4], FINE["boxes"][:, 0]):
        arrays = {**FINE, "boxes": wrong}
        run = DETECTION.replace(data=data.Arrays(arrays, arrays, arrays))
        with pytest.raises(BadInput, match=r"train labels are .*; center_loss takes boxes"):
            load_run_data(run)
