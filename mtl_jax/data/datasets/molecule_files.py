"""Readers of molecules in QM9's XYZ files, in SDF, and of tables of their properties."""

import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.columns import parse_numbers, read_columns
from mtl_jax.data.files.text_files import lines_of, read_text

XYZ_NAME = re.compile(r"dsgdb9nsd_([0-9]+)\.xyz")
# Properties in the second line of an XYZ file, after a tag and a number.
XYZ_PROPERTIES = (
    "A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "U0", "U", "H", "G", "Cv",
)  # fmt: skip
CSV_NAMES = {"U0": "u0", "U": "u298", "H": "h298", "G": "g298", "Cv": "cv"}
MAX_BOND = 3  # single, double, triple


class FoundMolecule(NamedTuple):
    """A molecule as it is in a file."""

    elements: list[str]
    positions: np.ndarray  # [atoms, 3]
    bonds: list[tuple[int, int, int]] | None  # first and second atom from 0, and order
    where: str  # its name in errors


def index_of(file: pathlib.Path) -> int:
    """The number of a molecule in its file's name."""
    match = XYZ_NAME.fullmatch(file.name)
    if match is None:
        raise BadInput(f"{file} must be called dsgdb9nsd_<number>.xyz")
    return int(match[1])


def read_xyz(file: pathlib.Path) -> tuple[FoundMolecule, dict[str, float]]:
    """A molecule of QM9's XYZ format, and its properties.

    Lines are the number of atoms; a tag, a number and the properties; for each atom its element,
    position and charge; and then frequencies and names, which are not read. Exponents may be
    written as `*^`.
    """
    lines = lines_of(read_text(file))
    try:
        count = int(lines[0])
        properties = [to_float(word) for word in lines[1].split()[2:]]
        rows = [line.split() for line in lines[2 : 2 + count]]
        positions = np.array([[to_float(word) for word in row[1:4]] for row in rows])
        if positions.shape != (count, 3) or len(properties) != len(XYZ_PROPERTIES):
            raise ValueError("it is cut")
    except (ValueError, IndexError) as error:
        raise BadInput(f"{file} must be a molecule in QM9's XYZ format: {error}") from error
    molecule = FoundMolecule([row[0] for row in rows], positions, None, str(file))
    return molecule, dict(zip(XYZ_PROPERTIES, properties, strict=True))


def read_sdf(file: pathlib.Path) -> Iterator[FoundMolecule]:
    """The molecules of an SDF file (V2000), with their bonds."""
    for number, text in enumerate(read_text(file).replace("\r\n", "\n").split("$$$$\n"), 1):
        if text.strip():
            lines, where = text.split("\n"), f"{file}, molecule {number}"
            try:
                yield parse_mol(lines, where)
            except (ValueError, IndexError) as error:
                raise BadInput(f"{where} must be in the V2000 format: {error}") from error


def parse_mol(lines: list[str], where: str) -> FoundMolecule:
    """A molecule of the V2000 format, whose columns have fixed widths."""
    atoms, bonds = int(lines[3][:3]), int(lines[3][3:6])
    rows = [line.split() for line in lines[4 : 4 + atoms]]
    positions = np.array([[float(word) for word in row[:3]] for row in rows])
    pairs = []
    for line in lines[4 + atoms : 4 + atoms + bonds]:
        first, second, order = (int(line[at : at + 3]) for at in (0, 3, 6))
        if not (1 <= min(first, second) <= max(first, second) <= atoms and 1 <= order <= MAX_BOND):
            raise ValueError(f"it has a bond {first, second, order}")
        pairs.append((first - 1, second - 1, order))
    if positions.shape != (atoms, 3) or len(pairs) != bonds:
        raise ValueError("it is cut")
    return FoundMolecule([row[3] for row in rows], positions, pairs, where)


def csv_properties(file: pathlib.Path) -> dict[str, np.ndarray]:
    """Properties `[N]` in MoleculeNet's table of QM9."""
    columns = read_columns(file)
    names = {name: CSV_NAMES.get(name, name) for name in XYZ_PROPERTIES}
    missing = sorted({*names.values()} - columns.cells.keys())
    if missing:
        raise BadInput(f"{file} must have the columns {missing}")
    return {name: parse_numbers(columns, column) for name, column in names.items()}


def to_float(word: str) -> float:
    """A number whose exponent may be written as Mathematica does."""
    return float(word.replace("*^", "e"))
