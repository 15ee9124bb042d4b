"""Linear probes in closed form: ridge regression of classes on features, a whole path at once."""

from typing import NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput, are_numbers, require
from mtl_jax.transfer.transferability.validation import classes, labelled, matrix, require_finite

# What is added to standard deviations, so that a feature that does not vary stays 0.
OFFSET = 1e-5
# What the column of the intercept holds.
CONSTANT = 100.0
RIDGES = tuple(4.0**power for power in range(-5, 11))


class RidgeProbe(NamedTuple):
    """A linear classifier of features, `argmax_c [(f - mean) / scale, constant] W_c`.

    Attributes:
      classes: what each column of the weights stands for, `[C]`, rising.
      mean: of the features, `[D]`.
      scale: their standard deviations and a little more, `[D]`.
      weights: `[D + 1, C]`, the last row that of the constant.
      ridge: lambda.
      accuracy: on the validation examples, from 0 to 1; NaN if nothing was validated.
    """

    classes: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    ridge: float
    accuracy: float = float("nan")

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Maps features `[N, D]` to scores `[N, C]`, 1 for the class and -1 for the others."""
        features = matrix("RidgeProbe", features, len(features))
        inputs = (features - self.mean) / self.scale
        return inputs @ self.weights[:-1] + CONSTANT * self.weights[-1]

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Maps features `[N, D]` to classes `[N]`; of equal scores the first class wins."""
        return self.classes[self.scores(features).argmax(1)]


def probe_path(
    features: np.ndarray, labels: np.ndarray, ridges: tuple[float, ...] = RIDGES
) -> tuple[RidgeProbe, ...]:
    """Ridge regressions of classes on features, one for each ridge.

    `W = (Z^T Z + lambda I)^-1 Z^T Y`, with rows `z = [(f - mean) / (std + 1e-5), 100]` and Y 1
    for the class of an example, -1 for all others. std divides by N. With fewer examples than
    features it is `W = Z^T (Z Z^T + lambda I)^-1 Y`, the same. Either way one eigendecomposition
    serves all ridges, in float64.

    The intercept is 100 times the last row of W. It is held to 0 as all weights are, but by
    lambda / 10^4: it comes out as `mean_i Y_i / (1 + lambda / (10^4 N))`, since the other
    columns have the mean 0. So does big_vision, whose ridge is 1024.

    Args:
      features: of a net, numbers `[N, D]`.
      labels: whole numbers `[N]`; examples without a label (-1) are left out.
      ridges: each lambda, above 0; it does not grow with N, as the squares that it stands
        against do.

    Returns:
      A probe for each ridge, in their order.

    Raises:
      BadInput: for no labelled example, one class, lengths that differ, what is not finite, or
        ridges that are not above 0.

    Reference: Dosovitskiy et al., An Image Is Worth 16x16 Words, ICLR 2021, Section 4.1, few-shot
      accuracies (https://arxiv.org/abs/2010.11929), and the code of big_vision
      (github.com/google-research/big_vision, big_vision/evaluators/fewshot_lsr.py).
    """
    fine = are_numbers(ridges) and min(ridges) > 0
    require(fine, "probe_path", "ridges", "must be a tuple of numbers above 0", ridges)
    features, labels = labelled("probe_path", features, labels)
    names = np.unique(labels)
    mean, scale = features.mean(0), features.std(0) + OFFSET
    targets = np.where(labels[:, None] == names, 1.0, -1.0)
    solved = solutions((features - mean) / scale, targets, ridges)
    return tuple(
        RidgeProbe(names, mean, scale, weights, ridge)
        for weights, ridge in zip(solved, ridges, strict=True)
    )


def ridge_probe(
    features: np.ndarray,
    labels: np.ndarray,
    validation: np.ndarray,
    validation_labels: np.ndarray,
    ridges: tuple[float, ...] = RIDGES,
) -> RidgeProbe:
    """The probe of `probe_path` that is right most often on validation examples.

    Of ridges that are right as often, the largest. A class that no training example has is
    never right.

    Args:
      features: of training examples, numbers `[N, D]`.
      labels: whole numbers `[N]`; -1 is left out.
      validation: features of other examples, `[V, D]`.
      validation_labels: theirs, `[V]`; -1 is left out.
      ridges: each lambda, above 0.

    Returns:
      The probe, with its accuracy on the validation examples.

    Raises:
      BadInput: as `probe_path`, or for no labelled validation example.

    Reference: as `probe_path`.
    """
    path = probe_path(features, labels, ridges)
    name = "ridge_probe"
    wanted = classes(name, "validation labels", validation_labels)
    validation = matrix(name, validation, len(wanted))[wanted >= 0]
    wanted = wanted[wanted >= 0]
    if not len(wanted):
        raise BadInput(f"{name} needs labelled validation examples, there is none")
    require_finite(name, validation)
    given, needed = validation.shape[1], len(path[0].mean)
    require(given == needed, name, "validation", f"must have {needed} columns", given)
    judged = [
        probe._replace(accuracy=float((probe.predict(validation) == wanted).mean()))
        for probe in path
    ]
    return max(judged, key=lambda probe: (probe.accuracy, probe.ridge))


def solutions(
    inputs: np.ndarray, targets: np.ndarray, ridges: tuple[float, ...]
) -> list[np.ndarray]:
    """Weights `[D + 1, C]` for each ridge, of features of mean 0 `[N, D]` and targets `[N, C]`."""
    count, size = inputs.shape
    if count < size:
        values, vectors = np.linalg.eigh(inputs @ inputs.T)
        left, right = inputs.T @ vectors, vectors.T @ targets
    else:
        values, vectors = np.linalg.eigh(inputs.T @ inputs)
        left, right = vectors, vectors.T @ (inputs.T @ targets)
    # Directions in which features do not vary are rounding, which a small ridge would not outweigh.
    kept = values > np.finfo(np.float64).eps * max(count, size) * values[-1]
    values, left, right = values[kept, None], left[:, kept], right[kept]
    # The constant column is orthogonal to all others; kept apart, it does not cost their digits.
    total = CONSTANT * targets.sum(0)
    return [
        np.vstack([left @ (right / (values + ridge)), total / (CONSTANT**2 * count + ridge)])
        for ridge in ridges
    ]
