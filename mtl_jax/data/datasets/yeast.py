"""Real genes of yeast: 103 numbers each, and which of 14 functions it has."""

import csv
import dataclasses
import gzip
import importlib.resources

import jax
import numpy as np

from mtl_jax.core.protocols import Splits
from mtl_jax.core.validation import BadInput, require, require_count
from mtl_jax.data.random_split import generator, require_shares

GENES, NUMBERS, FUNCTIONS = 2417, 103, 14


@dataclasses.dataclass(frozen=True)
class Yeast:
    """The yeast data of Mulan, as the package `river` brings it: no download.

    "image" holds the 103 numbers of a gene (expression and phylogenetic profile), each with
    mean 0 and variance 1 over the training part; labels "class1" to "class14" are 0.0 or 1.0.
    The parts are drawn at random.

    Attributes:
      validation: share of the validation part.
      test: share of the test part.
      seed: of the parts.

    Raises:
      BadInput: for shares outside (0, 1) or that leave nothing to train on, or a negative
        seed; and from `load` if `river` is not installed.

    Reference: Elisseeff and Weston, A Kernel Method for Multi-Labelled Classification, NIPS
      2001, its section on the yeast data.
    """

    validation: float = 0.2
    test: float = 0.2
    seed: int = 0

    def __post_init__(self):
        require_shares(self)
        rest = self.sizes()[0]
        require(rest > 0, self, "validation", "and test must leave genes to train on", rest)
        require_count(self, seed=0)

    def sizes(self) -> tuple[int, int, int]:
        """Genes in train, validation and test."""
        validation, test = (round(GENES * share) for share in (self.validation, self.test))
        return GENES - validation - test, validation, test

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; nothing is read."""
        count = self.sizes()[0]
        label = jax.ShapeDtypeStruct((count,), np.float32)
        image = jax.ShapeDtypeStruct((count, NUMBERS), np.float32)
        return {"image": image, **dict.fromkeys(names(), label)}

    def load(self) -> Splits:
        """Reads the genes: "image" `[N, 103]` and fourteen labels `[N]`, all float32."""
        table = read_table()
        order = generator(self.seed, "yeast").permutation(GENES)
        train, validation, _ = self.sizes()
        parts = np.split(table[order], [train, train + validation])
        numbers = parts[0][:, :NUMBERS]
        mean, deviation = numbers.mean(0), numbers.std(0)

        def part(rows: np.ndarray) -> dict[str, np.ndarray]:
            image = ((rows[:, :NUMBERS] - mean) / deviation).astype(np.float32)
            labels = rows[:, NUMBERS:].astype(np.float32).T
            return {"image": image, **dict(zip(names(), labels.copy(), strict=True))}

        return Splits(*map(part, parts))


def names() -> list[str]:
    """Names of the labels."""
    return [f"class{place}" for place in range(1, FUNCTIONS + 1)]


def read_table() -> np.ndarray:
    """All rows, `[2417, 117]` in float64."""
    try:
        file = importlib.resources.files("river") / "datasets" / "yeast.csv.gz"
        packed = file.read_bytes()
    except (ModuleNotFoundError, FileNotFoundError):
        raise BadInput("Yeast needs the package river: pip install mtl_jax[data]") from None
    rows = list(csv.reader(gzip.decompress(packed).decode().splitlines()))[1:]
    return np.array(rows, np.float64)
