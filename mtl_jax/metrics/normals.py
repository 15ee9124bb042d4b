"""Metrics of surface normals."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.metric import HostMetric, Metric
from mtl_jax.core.target_types import CONTINUOUS, TargetType
from mtl_jax.core.tree import unit
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_number
from mtl_jax.metrics.entries import number_entries
from mtl_jax.metrics.predictions import MeanState, masked_sums


def angles(
    name: str, predictions: jax.Array, targets: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Angles in degrees `[M]` between directions `[B, ..., D]`, and which are known, bool `[M]`.

    A target with a missing entry, or of norm 0, is not known. LibMTL takes a target for missing
    where the sum of its components is 0, which leaves out true normals.
    """
    predictions, targets, known = number_entries(name, predictions, targets, mask)
    known = known.all(-1) & (targets != 0).any(-1)
    cosines = (unit(predictions) * unit(targets)).sum(-1)
    return jnp.rad2deg(jnp.arccos(jnp.clip(cosines, -1.0, 1.0))), known


@typechecked
@dataclasses.dataclass(frozen=True)
class MeanAngle(Metric):
    """Mean angle between predicted and true directions, such as surface normals, in degrees.

    Reference: Eigen and Fergus, ICCV 2015, section 5.2 (https://arxiv.org/abs/1411.4734).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, outputs = metrics.MeanAngle(), jnp.array([[1.0, 0.0, 0.0]])
      >>> targets = jnp.array([[0.0, 0.0, 1.0]])
      >>> sums = metric.from_model_output(outputs, targets, jnp.array([True]))
      >>> round(float(metric.compute(sums)), 3)
      90.0
    """

    name: ClassVar[str] = "mean angle"
    target_types: ClassVar[tuple[TargetType, ...]] = CONTINUOUS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[float] = 1.0

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps predictions and targets `[B, ..., D]` and a mask `[B]` to sums."""
        return masked_sums(*angles(self.name, logits, labels, mask))

    def compute(self, sums: MeanState) -> jax.Array:
        """The mean angle `[]`; NaN without examples."""
        return jnp.divide(sums.total, sums.count)


@typechecked
@dataclasses.dataclass(frozen=True)
class AngleWithin(Metric):
    """Fraction of the directions that are predicted within an angle.

    Benchmarks of surface normals report 11.25, 22.5 and 30 degrees.

    Reference: Eigen and Fergus, ICCV 2015, section 5.2 (https://arxiv.org/abs/1411.4734).

    Attributes:
      degrees: largest angle that counts, exclusive.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import metrics
      >>> metric, outputs = metrics.AngleWithin(30.0), jnp.array([[1.0, 0.0, 0.1], [0.0, 1.0, 0.0]])
      >>> targets = jnp.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
      >>> sums = metric.from_model_output(outputs, targets, jnp.ones(2, bool))
      >>> float(metric.compute(sums))
      0.5
    """

    target_types: ClassVar[tuple[TargetType, ...]] = CONTINUOUS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = True
    unit_free: ClassVar[bool] = True
    scale: ClassVar[float] = 100.0
    degrees: float

    def __post_init__(self):
        require_number(self, degrees=(0.0, 180.0))

    @property
    def name(self) -> str:
        """Name of the table column."""
        return f"within {self.degrees:g}°"

    def from_model_output(self, logits: jax.Array, labels: jax.Array, mask: jax.Array) -> MeanState:
        """Maps predictions and targets `[B, ..., D]` and a mask `[B]` to sums."""
        degrees, known = angles(self.name, logits, labels, mask)
        return masked_sums((degrees < self.degrees).astype(degrees.dtype), known)

    def compute(self, sums: MeanState) -> jax.Array:
        """The fraction `[]`; NaN without examples."""
        return jnp.divide(sums.total, sums.count)


@typechecked
@dataclasses.dataclass(frozen=True)
class MedianAngle(HostMetric):
    """Median angle between predicted and true directions, such as surface normals, in degrees.

    Over all known directions of the split; MTAN's and Nash-MTL's code averages the medians of
    batches. A target with a missing entry, or of norm 0, does not count.

    Reference: Eigen and Fergus, ICCV 2015, section 5.2 (https://arxiv.org/abs/1411.4734).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> outputs, targets = np.eye(3), np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
      >>> round(metrics.MedianAngle().compute(outputs, targets), 3)
      45.0
    """

    name: ClassVar[str] = "median angle"
    target_types: ClassVar[tuple[TargetType, ...]] = CONTINUOUS
    accepts_missing_entries: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[float] = 1.0

    def compute(self, outputs: Any, labels: np.ndarray) -> float:
        """Maps finite predictions and targets `[N, ..., D]` to the median; NaN without examples."""
        outputs, labels = np.asarray(outputs), np.asarray(labels)
        if outputs.ndim < 2 or labels.shape != outputs.shape:
            raise ValueError(
                f"{self.name} needs predictions and targets [N, ..., D], not {outputs.shape} and "
                f"{labels.shape}"
            )
        degrees = [known_angles(*each) for each in zip(outputs, labels, strict=True)]
        found = np.concatenate(degrees) if degrees else np.zeros(0)
        return float(np.median(found)) if found.size else float("nan")


def known_angles(predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Angles in degrees of an example's known directions `[..., D]`, flat, in float64."""
    known = ~np.isnan(targets).any(-1) & (targets != 0).any(-1)
    predictions, targets = predictions[known].astype(np.float64), targets[known].astype(np.float64)
    norms = np.linalg.norm(predictions, axis=-1) * np.linalg.norm(targets, axis=-1)
    cosines = (predictions * targets).sum(-1) / np.where(norms > 0, norms, 1.0)
    return np.rad2deg(np.arccos(np.clip(cosines, -1.0, 1.0)))
