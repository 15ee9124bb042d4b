"""Mean average precision of detected boxes, as COCO evaluates them."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from mtl_jax.core.metric import HostMetric
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_number, require_package


@typechecked
@dataclasses.dataclass(frozen=True)
class MeanAveragePrecision(HostMetric):
    """Average precision of the detections of a class, its mean over the classes with true boxes.

    A detection is right if its intersection over union with a true box of its class, which no
    detection with a higher score took, is at least the threshold. Precision is interpolated at 101
    recalls; the best 100 detections of each class and image count. By faster-coco-eval, whose
    values are those of pycocotools.

    Reference: Lin et al., ECCV 2014 (https://arxiv.org/abs/1405.0312), and its evaluation
      (https://cocodataset.org/#detection-eval).

    Attributes:
      threshold: least intersection over union; None for the mean over 0.50, 0.55, ..., 0.95.
      decode: maps the outputs of a head to detections, such as
        `functools.partial(metrics.decode_centers, stride=4)`; None if they are detections.

    Raises:
      BadInput: without the package faster_coco_eval, which the extra `detection` installs.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> outputs = {"boxes": np.array([[[0.0, 0.0, 4.0, 5.0]]]), "scores": np.array([[0.9]])}
      >>> labels = np.array([[[2.0, 0.0, 0.0, 5.0, 5.0]]])
      >>> metric = metrics.MeanAveragePrecision(threshold=0.75)
      >>> round(metric.compute(outputs | {"classes": np.array([[2]])}, labels), 6)
      1.0
    """

    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0
    threshold: float | None = None
    decode: Callable[[Any], dict[str, np.ndarray]] | None = None

    def __post_init__(self):
        if self.threshold is not None:
            require_number(self, threshold=(0.0, 1.0))
        require_package(self, "faster_coco_eval", "detection")

    @property
    def name(self) -> str:
        """Name of the table column."""
        return "mAP" if self.threshold is None else f"mAP@{self.threshold:g}"

    def compute(self, outputs: Any, labels: np.ndarray) -> float:
        """Maps detections and true boxes to the mean average precision; NaN without true boxes.

        Args:
          outputs: detections, or what `decode` maps to them: a dict of "boxes" `[N, M, 4]`, corners
            x0, y0, x1, y1 in pixels, "scores" `[N, M]`, at most 0 for padding, and "classes"
            `[N, M]`.
          labels: class, x0, y0, x1, y1 of the true boxes, `[N, K, 5]`; class -1 for padding. An
            image with NaN in all its labels is not labelled and does not count; one with padding
            alone has no objects.

        Raises:
          ValueError: if shapes do not match.
        """
        outputs = self.detections(outputs)
        check_shapes(self.name, outputs, labels)
        labelled = ~np.isnan(labels).all((1, 2))
        labels = np.asarray(labels, np.float64)[labelled]
        detected = {key: np.asarray(outputs[key], np.float64)[labelled] for key in KEYS}
        image, place = np.nonzero(labels[..., 0] >= 0)
        true = [
            {**annotation(at, box[0], box[1:]), "id": i + 1, "iscrowd": 0}
            for i, (at, box) in enumerate(zip(image, labels[image, place], strict=True))
        ]
        image, place = np.nonzero(detected["scores"] > 0)
        boxes, scores, classes = (detected[key][image, place] for key in KEYS)
        found = [
            {**annotation(at, kind, box), "score": float(score)}
            for at, kind, box, score in zip(image, classes, boxes, scores, strict=True)
        ]
        return mean_average_precision(len(labels), true, found, self.threshold)

    def detections(self, outputs: Any) -> Any:
        """The detections of the outputs of a head."""
        return outputs if self.decode is None else self.decode(outputs)


KEYS = ("boxes", "scores", "classes")


def check_shapes(name: str, outputs: Any, labels: np.ndarray) -> None:
    """Requires outputs and labels as in `MeanAveragePrecision.compute`."""
    given = isinstance(outputs, dict) and {*KEYS} <= outputs.keys()
    shapes = [np.shape(outputs[key]) for key in KEYS] if given else [(), (), ()]
    boxes, scores, classes = shapes
    fits = given and len(scores) == 2 and boxes == (*scores, 4) and classes == scores
    if not fits or labels.ndim != 3 or labels.shape[::2] != (*scores[:1], 5):
        described = sorted(outputs) if isinstance(outputs, dict) else type(outputs).__name__
        raise ValueError(
            f"{name} needs a dict of boxes [N, M, 4], scores [N, M] and classes [N, M], and labels "
            f"[N, K, 5], not {shapes if given else described} and {labels.shape}; the outputs of a "
            "head need MeanAveragePrecision.decode"
        )


def annotation(image: int, kind: float, box: np.ndarray) -> dict[str, Any]:
    """A box in COCO's format: its corner, width and height; images count from 1."""
    x0, y0, x1, y1 = map(float, box)
    size = (x1 - x0, y1 - y0)
    return {
        "image_id": int(image) + 1,
        "category_id": int(kind),
        "bbox": [x0, y0, *size],
        "area": size[0] * size[1],
    }


def mean_average_precision(
    num_images: int, true: list[dict], found: list[dict], threshold: float | None
) -> float:
    """COCO's average precision of all areas; NaN if there are no true boxes."""
    from faster_coco_eval import COCO, COCOeval_faster  # An optional package.

    if not true:
        return float("nan")
    classes = sorted({each["category_id"] for each in true})
    truth = COCO()
    truth.dataset = {
        "images": [{"id": i + 1} for i in range(num_images)],
        "annotations": true,
        "categories": [{"id": c, "name": str(c)} for c in classes],
    }
    truth.createIndex()
    known = {*classes}
    detections = truth.loadRes([each for each in found if each["category_id"] in known])
    evaluation = COCOeval_faster(truth, detections, "bbox")
    params = evaluation.params
    params.areaRng, params.areaRngLbl, params.maxDets = params.areaRng[:1], ["all"], [100]
    if threshold is not None:
        params.iouThrs = np.array([threshold])
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"]
    return float(precision[precision > -1].mean())
