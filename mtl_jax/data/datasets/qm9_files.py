"""QM9 in the files of its authors, or of MoleculeNet."""

import dataclasses
import pathlib
from typing import Any

import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.tree import num_examples
from mtl_jax.core.validation import BadInput, require, require_int
from mtl_jax.data.datasets.molecule_files import (
    FoundMolecule,
    csv_properties,
    index_of,
    read_sdf,
    read_xyz,
)
from mtl_jax.data.datasets.molecules import (
    BENCHMARK,
    ELEMENTS,
    MAX_ATOMS,
    Molecules,
    encode_molecules,
    part_shapes,
)
from mtl_jax.data.datasets.qm9 import require_targets
from mtl_jax.data.files.paths import expand_path
from mtl_jax.data.files.text_files import lines_of, read_text
from mtl_jax.data.random_split import generator

SDF, EXCLUDED = "gdb9.sdf", "uncharacterized.txt"


@dataclasses.dataclass(frozen=True)
class QM9Files(DataSource):
    """QM9 in its raw files, split at random; inputs and labels are those of `QM9`.

    The folder has either a file `dsgdb9nsd_<number>.xyz` for each molecule, as its authors
    distribute them; or `gdb9.sdf` and `gdb9.sdf.csv` of MoleculeNet, which also tell bonds: "edges"
    is then `[N, M, M, 4]`, whether a bond is single, double or triple, and the distance. Molecules
    in a file `uncharacterized.txt` next to them are left out, as benchmarks do (130,831 stay).

    Attributes:
      path: path of the folder.
      targets: names of the labels, see `QM9`.
      validation: number of molecules of the validation part.
      test: number of molecules of the test part; the other ones are trained on.
      max_atoms: number M of atoms to which graphs are padded.
      seed: seed of the split.

    Raises:
      BadInput: for a setting of the wrong type, or unknown targets; from `shapes` and `load` for a
        folder without such files, or of too few molecules; and from `load`, naming the file, for a
        molecule that is not written so, or has another element or more atoms.

    Reference: Ramakrishnan et al., Scientific Data 2014, Section "Data Records"
      (https://doi.org/10.1038/sdata.2014.22); Wu et al., MoleculeNet, Chemical Science 2018
      (https://arxiv.org/abs/1703.00564).

    Example:
      >>> from mtl_jax import data
      >>> data.QM9Files("qm9/raw", targets=("mu",)).max_atoms
      29
    """

    path: str
    targets: tuple[str, ...] = BENCHMARK
    validation: int = 10_000
    test: int = 10_000
    max_atoms: int = MAX_ATOMS
    seed: int = 0

    def __post_init__(self):
        require(isinstance(self.path, str), self, "path", "must be a string", self.path)
        require_targets(self)
        require_int(self, validation=1, test=1, max_atoms=1, seed=0)

    def shapes(self) -> dict[str, Any]:
        """Shapes and types of the training part; files are listed, or rows of the table counted."""
        root = self.root()
        has_bonds = (root / SDF).is_file()
        count = len(self.split(self.count(root))[0])
        return part_shapes(count, self.max_atoms, has_bonds, self.targets)

    def num_labelled(self) -> int:
        """Number of training molecules."""
        return num_examples(self.shapes())

    def load(self) -> Splits:
        """Reads the molecules."""
        root = self.root()
        molecules = self.read(root)
        rows = self.split(len(molecules.numbers))
        return Splits(*(encode_molecules(molecules, part, self.targets) for part in rows))

    def root(self) -> pathlib.Path:
        """The folder, which must exist."""
        root = expand_path(self.path)
        require(root.is_dir(), self, "path", "must be a folder", self.path)
        return root

    def count(self, root: pathlib.Path) -> int:
        """Number of molecules."""
        excluded = excluded_numbers(root)
        if (root / SDF).is_file():
            lines = [line for line in lines_of(read_text(root / f"{SDF}.csv")) if line]
            return sum(number not in excluded for number in range(1, len(lines)))
        return len(xyz_files(root, excluded))

    def split(self, count: int) -> list[np.ndarray]:
        """Indices of the molecules of train, validation and test."""
        rule = f"must have more molecules than those of validation and test, {self.validation + self.test}"
        require(count > self.validation + self.test, self, "path", rule, count)
        order = generator(self.seed, "qm9").permutation(count)
        ends = [self.test, self.test + self.validation]
        test, validation, train = (np.sort(rows) for rows in np.split(order, ends))
        return [train, validation, test]

    def read(self, root: pathlib.Path) -> Molecules:
        """All molecules of the folder."""
        excluded = excluded_numbers(root)
        if (root / SDF).is_file():
            properties = csv_properties(root / f"{SDF}.csv")
            found = list(read_sdf(root / SDF))
            count = len(properties["mu"])
            if len(found) != count:
                rule = f"must have the {count} molecules of its table"
                raise BadInput(f"{root / SDF} {rule}, not {len(found)}")
            kept = np.array([number not in excluded for number in range(1, count + 1)])
            found = [molecule for molecule, keep in zip(found, kept, strict=True) if keep]
            properties = {name: values[kept] for name, values in properties.items()}
        else:
            pairs = [read_xyz(file) for file in xyz_files(root, excluded)]
            found = [molecule for molecule, _ in pairs]
            names = pairs[0][1]
            properties = {name: np.array([own[name] for _, own in pairs]) for name in names}
        return self.pad(found, properties)

    def pad(self, found: list[FoundMolecule], properties: dict[str, np.ndarray]) -> Molecules:
        """Molecules padded to `max_atoms`."""
        has_bonds = found[0].bonds is not None
        shape = (len(found), self.max_atoms)
        numbers, positions = np.zeros(shape, np.int8), np.zeros((*shape, 3), np.float32)
        bonds = np.zeros((*shape, self.max_atoms), np.int8) if has_bonds else None
        for i, molecule in enumerate(found):
            count = len(molecule.elements)
            rule = f"must be at least {count}, the atoms of {molecule.where}"
            require(count <= self.max_atoms, self, "max_atoms", rule, self.max_atoms)
            for element in molecule.elements:
                if element not in ELEMENTS:
                    rule = f"must have atoms of {sorted(ELEMENTS)}"
                    raise BadInput(f"{molecule.where} {rule}, not {element!r}")
            numbers[i, :count] = [ELEMENTS[element] for element in molecule.elements]
            positions[i, :count] = molecule.positions
            if bonds is not None:
                for first, second, order in molecule.bonds or ():
                    bonds[i, first, second] = bonds[i, second, first] = order
        return Molecules(numbers, positions, bonds, properties)


def excluded_numbers(root: pathlib.Path) -> set[int]:
    """Numbers of the molecules to leave out: the first words of the lines that begin with one."""
    if not (root / EXCLUDED).is_file():
        return set()
    rows = [line.split() for line in lines_of(read_text(root / EXCLUDED))]
    return {int(row[0]) for row in rows if len(row) > 1 and row[0].isdigit()}


def xyz_files(root: pathlib.Path, excluded: set[int]) -> list[pathlib.Path]:
    """Files of molecules that are not left out, by their numbers."""
    files = sorted(root.glob("*.xyz"), key=index_of)
    if not files:
        raise BadInput(f"{root} must have files dsgdb9nsd_*.xyz, or {SDF} and {SDF}.csv")
    return [file for file in files if index_of(file) not in excluded]
