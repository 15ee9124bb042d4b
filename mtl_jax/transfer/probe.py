"""A linear probe in closed form, with the two functions of scikit-learn's estimators."""

import numpy as np

from mtl_jax.transfer.ridge_probe import probe_path


class Probe:
    """Ridge regression of classes on features, as `probe_path` says.

    For a row of a table, one choice for each ridge of `RIDGES`, of which validation takes one:

        Classic(features=run, choices=tuple(functools.partial(Probe, r) for r in RIDGES), ...)
    """

    def __init__(self, ridge: float):
        """Takes the ridge lambda, above 0."""
        self.ridge, self.found = ridge, None

    def fit(self, features: np.ndarray, labels: np.ndarray) -> None:
        """Solves for features `[N, D]` and classes `[N]`.

        Raises:
          BadInput: as `probe_path`.
        """
        (self.found,) = probe_path(features, labels, (self.ridge,))

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Classes `[N]` of features `[N, D]`."""
        return self.found.predict(features)
