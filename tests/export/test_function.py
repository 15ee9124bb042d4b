"""Models as functions of flat dicts: names, and boxes that are decoded in the module."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import metrics
from mtl_jax.core.validation import BadInput
from mtl_jax.export.function import box_decoder, flat_inputs, flat_outputs
from mtl_jax.predict import load
from tests.dense import Strides
from tests.export.models import export_random
from tests.small import ROW


def test_boxes_are_those_of_the_metric(tmp_path):
    pytest.importorskip("faster_coco_eval")
    from tests.rectangles import BOXES, COUNT, DECODE, DETECTION

    run = DETECTION.replace(trunk=Strides(), tasks=(BOXES, COUNT))
    _, _, _, images = export_random(run, tmp_path / "model")
    found = load(tmp_path / "model").predict(images[:5])
    boxes = found["boxes"].values
    wanted = DECODE(found["boxes"].outputs)
    assert boxes["boxes"].shape == (5, 20, 4) and (boxes["scores"] > 0).any()
    for name, array in wanted.items():
        np.testing.assert_allclose(boxes[name], array, rtol=1e-5, atol=1e-5)
    assert found["count"].values.shape == (5, 1)


def test_only_centers_are_decoded():
    assert box_decoder(ROW) is None
    pytest.importorskip("faster_coco_eval")
    other = metrics.MeanAveragePrecision(0.5, functools.partial(lambda outputs: outputs))
    plain = metrics.MeanAveragePrecision(0.5, metrics.decode_centers)
    for metric, is_decoded in ((other, False), (plain, True)):
        task = ROW.replace(loss=lambda outputs, labels: outputs[..., 0], metrics=(metric,))
        assert (box_decoder(task) is not None) is is_decoded


def test_names_of_inputs_and_outputs():
    x = jnp.zeros((2, 3))
    assert flat_inputs(x).keys() == {"inputs"}
    assert flat_inputs({"a": {"b": x}, "c": x}).keys() == {"a/b", "c"}
    assert flat_outputs({"t": x, "u": {"heatmap": x}}).keys() == {"t", "u/heatmap"}
    with pytest.raises(BadInput, match="outputs of task 'a' must be an array or a dict of arrays"):
        flat_outputs({"a": (1.0,)})
