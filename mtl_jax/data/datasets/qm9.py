"""QM9: quantum chemical properties of small molecules, as TFDS has it."""

import dataclasses
from typing import Any, Literal

import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.tree import num_examples
from mtl_jax.core.validation import BadInput, require, require_choice
from mtl_jax.data.datasets.molecules import (
    BENCHMARK,
    MAX_ATOMS,
    TARGETS,
    UNITS,
    Molecules,
    encode_graphs,
    part_shapes,
)
from mtl_jax.data.datasets.tfds_builder import open_builder

SIZES = {"dimenet": 110_000, "cormorant": 100_000}  # of train


@dataclasses.dataclass(frozen=True)
class QM9(DataSource):
    """QM9 as TFDS has it: "inputs" is a dict of padded graphs, and each property a label.

    | input   | shape            | type    | meaning                                           |
    |---------|------------------|---------|---------------------------------------------------|
    | atoms   | `[N, 29, 5]`     | float32 | one-hot element: H, C, N, O, F; 0 for padding     |
    | edges   | `[N, 29, 29, 1]` | float32 | distance in angstrom; 0 for padding               |
    | mask    | `[N, 29]`        | bool    | which atoms there are                             |

    A label is float32 `[N]`: mu (debye), alpha (cubic Bohr radii), homo, lumo, gap, zpve, U0, U, H
    and G (electronvolts), r2 (square Bohr radii), Cv (cal / (mol K)), A, B and C (GHz); and U0_atom,
    U_atom, H_atom and G_atom, the energies minus those of the single atoms. TFDS stores total
    energies as float32, to about a millielectronvolt. All inputs take 0.5 GB.

    Benchmarks of multi-task learning train on 11 targets, standardized (`StandardizedLabels`), with
    110,000 molecules to train on and 10,000 to validate and test on each; their atoms have further
    features, of RDKit, and their edges types of bonds, see `QM9Files`.

    Attributes:
      data_dir: directory of the data that `prepare("qm9/dimenet", data_dir)` has written.
      targets: names of the labels.
      split: "dimenet", with 110,000, 10,000 and 10,831 molecules, or "cormorant", with 100,000,
        17,748 and 13,083.

    Raises:
      BadInput: for a directory that is no string, unknown targets or an unknown split; and from
        `load` if the data are not prepared.

    Reference: Ramakrishnan et al., Quantum chemistry structures and properties of 134 kilo
      molecules, Scientific Data 2014 (https://doi.org/10.1038/sdata.2014.22); Navon et al.,
      Multi-Task Learning as a Bargaining Game, ICML 2022, its experiment on
      QM9 (https://arxiv.org/abs/2202.01017).

    Example:
      >>> from mtl_jax import data
      >>> data.QM9("~/tensorflow_datasets", targets=("mu", "gap")).shapes()["gap"].shape
      (110000,)
    """

    data_dir: str
    targets: tuple[str, ...] = BENCHMARK
    split: Literal["dimenet", "cormorant"] = "dimenet"

    def __post_init__(self):
        valid = isinstance(self.data_dir, str) and bool(self.data_dir)
        require(valid, self, "data_dir", "must be a string", self.data_dir)
        require_targets(self)
        require_choice(self, split=tuple(SIZES))

    def shapes(self) -> dict[str, Any]:
        """Shapes and types of the training part; the data need not be prepared."""
        splits = self.builder().info.splits
        count = splits["train"].num_examples if splits else SIZES[self.split]
        return part_shapes(count, MAX_ATOMS, False, self.targets)

    def num_labelled(self) -> int:
        """Number of training molecules."""
        return num_examples(self.shapes())

    def load(self) -> Splits:
        """Reads the molecules."""
        builder = self.builder()
        if not builder.info.splits:
            call = f"mtl_jax.data.prepare('qm9/{self.split}', {self.data_dir!r})"
            raise BadInput(f"QM9 is not prepared in {self.data_dir}: call {call} once")
        return Splits(*(self.read_part(builder, part) for part in Splits._fields))

    def builder(self) -> Any:
        """The builder of the data set."""
        return open_builder(f"qm9/{self.split}", self.data_dir)

    def read_part(self, builder: Any, part: str) -> dict[str, Any]:
        """The arrays of one part."""
        source = builder.as_data_source(part)
        count = len(source)
        numbers = np.zeros((count, MAX_ATOMS), np.int8)
        positions = np.zeros((count, MAX_ATOMS, 3), np.float32)
        labels = {name: np.zeros(count, np.float32) for name in self.targets}
        for i, example in enumerate(source):
            numbers[i], positions[i] = example["charges"], example["positions"]
            for name, values in labels.items():
                energy = name.removesuffix("_atom")
                feature = energy if name == energy else f"{energy}_atomization"
                values[i] = example[feature] * np.float64(UNITS[energy])
        molecules = Molecules(numbers, positions, None, {})
        return {"inputs": encode_graphs(molecules, np.arange(count)), **labels}


def require_targets(source: Any) -> None:
    """Checks that `targets` of a source are properties of QM9."""
    names = source.targets
    valid = isinstance(names, tuple) and len(names) > 0 and len({*names}) == len(names)
    valid = valid and all(name in TARGETS for name in names)
    require(valid, source, "targets", f"must be different ones of {TARGETS}", names)
