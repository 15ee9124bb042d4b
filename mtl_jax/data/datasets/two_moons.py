"""Two moons: points in the plane on two interleaved half circles."""

import dataclasses
import math

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import require_int, require_number
from mtl_jax.data.random_split import generator


@dataclasses.dataclass(frozen=True)
class TwoMoons(DataSource):
    """Points `[N, 1, 2]` as "inputs", and the half circle of each, "moon" `[N]`.

    The upper half of one circle, `(cos a, sin a)`, and the lower half of another, `(1 - cos a,
    1/2 - sin a)`, with a evenly spaced in [0, pi] and Gaussian noise on both coordinates. A point
    is a signal with one time step and two channels, so signal augmentations apply.

    Attributes:
      train: number of training points, half of each moon.
      validation: number of validation points.
      test: number of test points.
      noise: standard deviation of the noise.
      seed: seed of the noise.

    Raises:
      BadInput: for sizes below 2, or negative noise.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import data
      >>> train = data.TwoMoons(train=100).load().train
      >>> train["inputs"].shape, np.bincount(train["moon"]).tolist()
      ((100, 1, 2), [50, 50])
    """

    train: int = 1000
    validation: int = 200
    test: int = 1000
    noise: float = 0.1
    seed: int = 0

    def __post_init__(self):
        require_int(self, train=2, validation=2, test=2, seed=0)
        require_number(self, noise=(0.0, math.inf))

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is sampled."""
        return {
            "inputs": jax.ShapeDtypeStruct((self.train, 1, 2), np.float32),
            "moon": jax.ShapeDtypeStruct((self.train,), np.int32),
        }

    def load(self) -> Splits:
        """Samples the points."""
        return Splits(*(self.sample(part) for part in Splits._fields))

    def sample(self, part: str) -> dict[str, np.ndarray]:
        """Points and moons of a part, in random order."""
        rng = generator(self.seed, f"two moons/{part}")
        count = getattr(self, part)
        moon = (np.arange(count) % 2).astype(np.int32)
        angle = np.empty(count)
        for half in (0, 1):
            angle[moon == half] = np.linspace(0.0, np.pi, (moon == half).sum())
        upper = np.stack([np.cos(angle), np.sin(angle)], -1)
        lower = np.stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)], -1)
        points = np.where(moon[:, None] == 0, upper, lower) + rng.normal(0, self.noise, (count, 2))
        order = rng.permutation(count)
        return {"inputs": points[order, None].astype(np.float32), "moon": moon[order]}
