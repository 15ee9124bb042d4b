"""Mean average precision against pycocotools, and by hand."""

import contextlib
import io

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.metrics.detection import MeanAveragePrecision

pytest.importorskip("faster_coco_eval")


def boxes(rng, shape):
    """Corners of random boxes."""
    corner, size = rng.uniform(0, 60, (*shape, 2)), rng.uniform(5, 120, (*shape, 2))
    return np.concatenate([corner, corner + size], -1)


def inputs(seed, size=5, most=6, classes=3):
    """Detections near the true boxes and elsewhere, with padding, and an image without labels."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate(
        [rng.integers(-1, classes, (size, most, 1)), boxes(rng, (size, most))], 2
    )
    labels[0, :, 0] = -1.0  # No objects.
    labels[1] = np.nan
    near = labels[..., 1:] + rng.normal(0, rng.uniform(1, 8), (size, most, 4))
    outputs = {
        "boxes": np.nan_to_num(np.concatenate([near, boxes(rng, (size, most))], 1)),
        "scores": rng.uniform(-0.3, 1.0, (size, 2 * most)),
        "classes": rng.integers(0, classes + 1, (size, 2 * most)),
    }
    right = rng.random((size, most)) < 0.7
    outputs["classes"][:, :most][right] = np.nan_to_num(labels[..., 0])[right]
    return outputs, labels


def in_coco(image, kind, box, **more):
    """A box in COCO's format."""
    x, y, width, height = (*box[:2], *(box[2:] - box[:2]))
    found = {"image_id": image, "category_id": int(kind), "bbox": [x, y, width, height]}
    return {**found, "area": width * height, "iscrowd": 0, **more}


def reference(outputs, labels, threshold):
    """The value by pycocotools, which prints."""
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    images = [i for i, each in enumerate(labels) if not np.isnan(each).any()]
    true = [(i, box) for i in images for box in labels[i] if box[0] >= 0]
    rows = zip(*(outputs[key].tolist() for key in ("boxes", "scores", "classes")), strict=True)
    found = [
        in_coco(i, kind, np.array(box), score=score)
        for i, row in enumerate(rows) if i in images
        for box, score, kind in zip(*row, strict=True) if score > 0
    ]  # fmt: skip
    truth = coco.COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": i} for i in images],
        "categories": [{"id": c} for c in range(10)],
        "annotations": [in_coco(i, b[0], b[1:], id=n + 1) for n, (i, b) in enumerate(true)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[{None: 0, 0.5: 1, 0.75: 2}[threshold]]


@pytest.mark.parametrize("threshold", [None, 0.5, 0.75])
def test_values_are_those_of_pycocotools(threshold, capsys):
    for seed in range(100):
        outputs, labels = inputs(seed)
        found = MeanAveragePrecision(threshold).compute(outputs, labels)
        np.testing.assert_allclose(found, reference(outputs, labels, threshold), rtol=1e-6)
    assert capsys.readouterr().out == ""


def test_a_detection_elsewhere_by_hand():
    """Two of two found; the second best is wrong, so precision is 1 to recall 1/2, then 2/3."""
    labels = np.array([[[0, 0, 0, 10, 10], [0, 50, 50, 70, 70], [-1, 0, 0, 0, 0]]], float)
    outputs = {
        "boxes": np.array(
            [[[0, 0, 10, 10], [30, 0, 40, 10], [50, 50, 70, 70], [0, 0, 9, 9]]], float
        ),
        "scores": np.array([[0.9, 0.8, 0.7, 0.0]]),
        "classes": np.zeros((1, 4), int),
    }
    found = MeanAveragePrecision(0.5).compute(outputs, labels)
    np.testing.assert_allclose(found, (51 + 50 * 2 / 3) / 101, rtol=1e-12)
    none = outputs | {"scores": np.zeros((1, 4))}
    assert MeanAveragePrecision().compute(none, labels) == 0.0
    empty = np.array([[[-1.0, 0, 0, 0, 0]]])
    both = {key: np.concatenate([value, value]) for key, value in outputs.items()}
    pair = np.concatenate([labels, np.repeat(empty, 3, 1)])
    # The same detections on an image without objects are wrong, one without labels is left out.
    assert MeanAveragePrecision(0.5).compute(both, pair) < found
    pair[1] = np.nan
    assert MeanAveragePrecision(0.5).compute(both, pair) == found


def test_no_true_boxes_are_nan_and_other_shapes_are_refused():
    outputs, labels = inputs(0)
    for missing in (np.full_like(labels, -1.0), np.full_like(labels, np.nan)):
        assert np.isnan(MeanAveragePrecision().compute(outputs, missing))
    nothing = {key: value[:0] for key, value in outputs.items()}
    assert np.isnan(MeanAveragePrecision().compute(nothing, labels[:0]))
    for wrong in (outputs["boxes"], {"boxes": 1}, outputs | {"scores": np.zeros((5, 3))}):
        with pytest.raises(ValueError, match=r"mAP needs a dict of boxes \[N, M, 4\]"):
            MeanAveragePrecision().compute(wrong, labels)


def test_settings():
    assert [MeanAveragePrecision(t).name for t in (None, 0.5)] == ["mAP", "mAP@0.5"]
    with pytest.raises(BadInput, match=r"MeanAveragePrecision\.threshold must lie between"):
        MeanAveragePrecision(50.0)


def test_without_its_package_it_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = r"^MeanAveragePrecision needs the package faster_coco_eval: pip install mtl_jax\[det"
    with pytest.raises(BadInput, match=told):
        MeanAveragePrecision()
