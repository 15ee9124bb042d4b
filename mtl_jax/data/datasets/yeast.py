"""The yeast data set: 103 features of a gene, and 14 binary labels of its functions."""

import csv
import dataclasses
import gzip
import importlib.resources

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require, require_int
from mtl_jax.data.random_split import generator, require_fractions

NUM_GENES, NUM_FEATURES, NUM_LABELS = 2417, 103, 14


@dataclasses.dataclass(frozen=True)
class Yeast(DataSource):
    """The Mulan yeast data set, included in the package `river`; nothing is downloaded.

    "inputs" contains the 103 features of a gene (expression and phylogenetic profile), each with
    mean 0 and variance 1 over the training part; labels "class1" to "class14" are 0.0 or 1.0.
    The split is random.

    Attributes:
      validation: fraction of the validation part.
      test: fraction of the test part.
      seed: seed of the split.

    Raises:
      BadInput: for fractions outside (0, 1) or that leave no training part, or a negative seed; and
        from `load` if `river` is not installed.

    Reference: Elisseeff and Weston, A Kernel Method for Multi-Labelled Classification, NIPS
      2001, its section on the yeast data.

    Example:
      >>> from mtl_jax import data
      >>> data.Yeast().shapes()["inputs"].shape
      (1451, 103)
    """

    validation: float = 0.2
    test: float = 0.2
    seed: int = 0

    def __post_init__(self):
        require_fractions(self)
        train_size = self.sizes()[0]
        require(
            train_size > 0, self, "validation", "and test must leave genes to train on", train_size
        )
        require_int(self, seed=0)

    def sizes(self) -> tuple[int, int, int]:
        """Number of genes in train, validation and test."""
        validation, test = (
            round(NUM_GENES * fraction) for fraction in (self.validation, self.test)
        )
        return NUM_GENES - validation - test, validation, test

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        count = self.sizes()[0]
        label = jax.ShapeDtypeStruct((count,), np.float32)
        image = jax.ShapeDtypeStruct((count, NUM_FEATURES), np.float32)
        return {"inputs": image, **dict.fromkeys(label_names(), label)}

    def load(self) -> Splits:
        """Reads the genes: "inputs" `[N, 103]` and fourteen labels `[N]`, all float32."""
        table = read_table()
        order = generator(self.seed, "yeast").permutation(NUM_GENES)
        train, validation, _ = self.sizes()
        parts = np.split(table[order], [train, train + validation])
        features = parts[0][:, :NUM_FEATURES]
        mean, std = features.mean(0), features.std(0)

        def part(rows: np.ndarray) -> dict[str, np.ndarray]:
            image = ((rows[:, :NUM_FEATURES] - mean) / std).astype(np.float32)
            labels = rows[:, NUM_FEATURES:].astype(np.float32).T
            return {"inputs": image, **dict(zip(label_names(), labels.copy(), strict=True))}

        return Splits(*map(part, parts))


def label_names() -> list[str]:
    """Names of the labels."""
    return [f"class{i}" for i in range(1, NUM_LABELS + 1)]


def read_table() -> np.ndarray:
    """All rows, `[2417, 117]` in float64."""
    try:
        file = importlib.resources.files("river") / "datasets" / "yeast.csv.gz"
        compressed = file.read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise BadInput("Yeast needs the package river: pip install mtl_jax[data]") from None
    rows = list(csv.reader(gzip.decompress(compressed).decode().splitlines()))[1:]
    return np.array(rows, np.float64)
