"""Closed-form linear probes: ridge regression of classes on features, for a path of penalties."""

from typing import NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput, are_numbers, require
from mtl_jax.transfer.transferability.validation import (
    require_finite,
    select_labelled,
    to_classes,
    to_matrix,
)

# Added to standard deviations, so that a constant feature stays 0.
OFFSET = 1e-5
# Value of the intercept column.
CONSTANT = 100.0
RIDGES = tuple(4.0**power for power in range(-5, 11))


class RidgeProbe(NamedTuple):
    """A linear classifier of features, `argmax_c [(f - mean) / scale, constant] W_c`.

    Attributes:
      classes: class of each column of the weights, `[C]`, ascending.
      mean: mean of the features, `[D]`.
      scale: their standard deviations plus a small constant, `[D]`.
      weights: weights `[D + 1, C]`, the last row belongs to the constant.
      ridge: the penalty lambda.
      accuracy: accuracy on the validation examples, from 0 to 1; NaN without validation.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import transfer
      >>> features, labels = np.array([[0.0], [1.0], [5.0], [6.0]]), np.array([0, 0, 3, 3])
      >>> (probe,) = transfer.probe_path(features, labels, ridges=(1.0,))
      >>> probe.predict(np.array([[2.0], [4.0]])).tolist(), probe.scores(features).shape
      ([0, 3], (4, 2))
    """

    classes: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    ridge: float
    accuracy: float = float("nan")

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Maps features `[N, D]` to scores `[N, C]`, regressed on 1 for the class, -1 otherwise."""
        features = to_matrix("RidgeProbe", features, len(features))
        inputs = (features - self.mean) / self.scale
        return inputs @ self.weights[:-1] + CONSTANT * self.weights[-1]

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Maps features `[N, D]` to classes `[N]`; ties are resolved to the first class."""
        return self.classes[self.scores(features).argmax(1)]


class RidgeClassifier:
    """Ridge regression of classes on features, see `probe_path`.

    For a row of a table, use one choice per ridge of `RIDGES`, of which validation selects one:

        choices = tuple(functools.partial(RidgeClassifier, ridge) for ridge in RIDGES)
        SklearnBaseline(features=run, choices=choices, ...)

    Example:
      >>> import numpy as np
      >>> from mtl_jax import transfer
      >>> classifier = transfer.RidgeClassifier(ridge=1.0)
      >>> classifier.fit(np.array([[0.0], [1.0], [5.0], [6.0]]), np.array([0, 0, 1, 1]))
      >>> classifier.predict(np.array([[2.0], [4.0]])).tolist()
      [0, 1]
    """

    def __init__(self, ridge: float):
        """Sets the ridge penalty lambda, which must be positive."""
        self.ridge = ridge
        self.probe: RidgeProbe | None = None

    def fit(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Fits features `[N, D]` and classes `[N]`.

        Raises:
          BadInput: see `probe_path`.
        """
        (self.probe,) = probe_path(features, labels, (self.ridge,))

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predicts classes `[N]` of features `[N, D]`.

        Raises:
          ValueError: before `fit`.
        """
        if self.probe is None:
            raise ValueError("RidgeClassifier.fit must be called before predict")
        return self.probe.predict(features)


def probe_path(
    features: np.ndarray, labels: np.ndarray, ridges: tuple[float, ...] = RIDGES
) -> tuple[RidgeProbe, ...]:
    """Ridge regressions of classes on features, one for each penalty.

    `W = (Z^T Z + lambda I)^-1 Z^T Y`, with rows `z = [(f - mean) / (std + 1e-5), 100]` and Y 1 for
    the class of an example, -1 for all others. std divides by N. With fewer examples than features,
    the equivalent `W = Z^T (Z Z^T + lambda I)^-1 Y` is used. Either way, one eigendecomposition
    serves all penalties, in float64.

    The intercept is 100 times the last row of W. It is penalized like all weights, but effectively
    by lambda / 10^4: it equals `mean_i Y_i / (1 + lambda / (10^4 N))`, since the other columns have
    mean 0. This is as in big_vision, whose penalty is 1024.

    Args:
      features: features of a model, floats `[N, D]`.
      labels: integers `[N]`; examples without a label (-1) are ignored.
      ridges: values of lambda, positive; not scaled by N, although the sum of squares is a sum over
        the N examples.

    Returns:
      One probe per penalty, in the same order.

    Raises:
      BadInput: if there is no labelled example or only one class, if lengths differ, if a value is
        not finite, or if a penalty is not positive.

    Reference: Dosovitskiy et al., An Image Is Worth 16x16 Words, ICLR 2021, Section 4.1, few-shot
      accuracies (https://arxiv.org/abs/2010.11929), and the code of big_vision
      (github.com/google-research/big_vision, big_vision/evaluators/fewshot_lsr.py).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import transfer
      >>> features, labels = np.array([[0.0], [1.0], [5.0], [6.0]]), np.array([0, 0, 1, 1])
      >>> path = transfer.probe_path(features, labels, ridges=(0.1, 10.0))
      >>> [(probe.ridge, probe.weights.shape) for probe in path]
      [(0.1, (2, 2)), (10.0, (2, 2))]
    """
    valid = are_numbers(ridges) and min(ridges) > 0
    require(valid, "probe_path", "ridges", "must be a tuple of numbers above 0", ridges)
    features, labels = select_labelled("probe_path", features, labels)
    classes = np.unique(labels)
    mean, scale = features.mean(0), features.std(0) + OFFSET
    targets = np.where(labels[:, None] == classes, 1.0, -1.0)
    solutions = solve((features - mean) / scale, targets, ridges)
    return tuple(
        RidgeProbe(classes, mean, scale, weights, ridge)
        for weights, ridge in zip(solutions, ridges, strict=True)
    )


def ridge_probe(
    features: np.ndarray,
    labels: np.ndarray,
    validation: np.ndarray,
    validation_labels: np.ndarray,
    ridges: tuple[float, ...] = RIDGES,
) -> RidgeProbe:
    """Selects the probe of `probe_path` with the highest validation accuracy.

    Ties are resolved to the largest penalty. Validation examples of classes without training
    examples count as errors.

    Args:
      features: features of training examples, floats `[N, D]`.
      labels: integers `[N]`; -1 is ignored.
      validation: features of validation examples, `[V, D]`.
      validation_labels: their labels, `[V]`; -1 is ignored.
      ridges: values of lambda, positive.

    Returns:
      The probe, with its accuracy on the validation examples.

    Raises:
      BadInput: see `probe_path`; or if there is no labelled validation example.

    Reference: see `probe_path`.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import transfer
      >>> features, labels = np.array([[0.0], [1.0], [5.0], [6.0]]), np.array([0, 0, 1, 1])
      >>> probe = transfer.ridge_probe(features, labels, features, labels, ridges=(0.1, 10.0))
      >>> probe.ridge, probe.accuracy
      (10.0, 1.0)
    """
    path = probe_path(features, labels, ridges)
    name = "ridge_probe"
    targets = to_classes(name, "validation labels", validation_labels)
    validation = to_matrix(name, validation, len(targets))[targets >= 0]
    targets = targets[targets >= 0]
    if not len(targets):
        raise BadInput(f"{name} needs labelled validation examples, there is none")
    require_finite(name, validation)
    columns, size = validation.shape[1], len(path[0].mean)
    require(columns == size, name, "validation", f"must have {size} columns", columns)
    probes = [
        probe._replace(accuracy=float((probe.predict(validation) == targets).mean()))
        for probe in path
    ]
    return max(probes, key=lambda probe: (probe.accuracy, probe.ridge))


def solve(inputs: np.ndarray, targets: np.ndarray, ridges: tuple[float, ...]) -> list[np.ndarray]:
    """Weights `[D + 1, C]` per penalty, given centred features `[N, D]` and targets `[N, C]`."""
    count, size = inputs.shape
    if count < size:
        values, vectors = np.linalg.eigh(inputs @ inputs.T)
        left, right = inputs.T @ vectors, vectors.T @ targets
    else:
        values, vectors = np.linalg.eigh(inputs.T @ inputs)
        left, right = vectors, vectors.T @ (inputs.T @ targets)
    # Directions without variance contain rounding errors, which a small penalty would not suppress.
    mask = values > np.finfo(np.float64).eps * max(count, size) * values[-1]
    values, left, right = values[mask, None], left[:, mask], right[mask]
    # The constant column is orthogonal to all others; handled separately to preserve their
    # precision.
    total = CONSTANT * targets.sum(0)
    return [
        np.vstack([left @ (right / (values + ridge)), total / (CONSTANT**2 * count + ridge)])
        for ridge in ridges
    ]
