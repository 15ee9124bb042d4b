"""Validation of the results of several seeds."""

import numpy as np

from mtl_jax.core.validation import require


def as_samples(owner: str, **samples: np.ndarray) -> list[np.ndarray]:
    """Samples as `float64`, each of which must be `[S]`.

    Raises:
      BadInput: naming the function `owner` and the sample.
    """
    arrays = {name: np.asarray(sample, np.float64) for name, sample in samples.items()}
    for name, array in arrays.items():
        rule = "must be numbers [S], at least one"
        require(array.ndim == 1 and array.size > 0, owner, name, rule, array.shape)
    return list(arrays.values())


def are_finite(*samples: np.ndarray) -> bool:
    """Whether all values of all samples are finite."""
    return all(bool(np.isfinite(sample).all()) for sample in samples)


def is_constant(sample: np.ndarray) -> bool:
    """Whether the values are equal but for rounding."""
    return bool(np.ptp(sample) <= 1e-12 * np.abs(sample).max())
