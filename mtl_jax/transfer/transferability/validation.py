"""Validation of the inputs of transferability estimates, and conversion to float64."""

import numpy as np

from mtl_jax.core.validation import BadInput


def select_labelled(
    name: str, values: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the examples that have a label.

    Args:
      name: name of the estimate, for error messages.
      values: features or probabilities, floats `[N, D]`.
      labels: classes `[N]`, integers; -1 is missing.

    Returns:
      Values in float64 and labels, of the examples with a label.

    Raises:
      BadInput: if lengths differ, a value is not finite, or there is no labelled example or only
        one class.
    """
    values = to_matrix(name, values, len(np.asarray(labels)))
    labels = to_classes(name, "labels", labels)
    values, labels = values[labels >= 0], labels[labels >= 0]
    require_several(name, labels)
    require_finite(name, values)
    return values, labels


def to_matrix(name: str, values: np.ndarray, rows: int) -> np.ndarray:
    """Converts to floats `[N, D]` in float64, with the given N."""
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or len(values) != rows or values.shape[1] == 0:
        raise BadInput(f"{name} needs [{rows}, D], one row a label, not {values.shape}")
    return values


def to_classes(name: str, field: str, labels: np.ndarray) -> np.ndarray:
    """Converts to integers `[N]` of at least -1."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise BadInput(f"{name} needs integer {field} [N], not {labels.dtype} {labels.shape}")
    labels = labels.astype(np.int64)
    if labels.size and labels.min() < -1:
        raise BadInput(f"{name} needs {field} of at least 0, or -1 for none, not {labels.min()}")
    return labels


def require_finite(name: str, values: np.ndarray) -> None:
    """Requires floats `[N, D]` without NaN or infinity."""
    invalid = ~np.isfinite(values).all(1)
    if invalid.any():
        raise BadInput(f"{name} needs finite values, {invalid.sum()} of {len(values)} rows are not")


def require_several(name: str, labels: np.ndarray) -> None:
    """Requires examples of at least two classes."""
    if not labels.size:
        raise BadInput(f"{name} needs labelled examples, there is none")
    if (labels == labels[0]).all():
        raise BadInput(f"{name} needs at least two classes, all labels are {labels[0]}")


def require_probabilities(name: str, values: np.ndarray) -> None:
    """Requires rows that are probabilities, up to half-precision rounding."""
    if values.min() < 0 or np.abs(values.sum(1) - 1.0).max() > 1e-2:
        raise BadInput(f"{name} needs probabilities, rows of sum 1 and without negative numbers")
