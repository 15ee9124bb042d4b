"""Molecules of QM9 as padded graphs, and the units of their properties."""

from typing import NamedTuple

import jax
import numpy as np

ELEMENTS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}  # atomic numbers
MAX_ATOMS = 29  # of QM9
EV = 27.211386246  # electronvolts of a Hartree
CHUNK = 4096  # Molecules whose distances are computed at once.
UNITS = {
    "mu": 1.0,  # debye
    "alpha": 1.0,  # cubic Bohr radii
    "homo": EV,
    "lumo": EV,
    "gap": EV,
    "r2": 1.0,  # square Bohr radii
    "zpve": EV,
    "U0": EV,
    "U": EV,
    "H": EV,
    "G": EV,
    "Cv": 1.0,  # cal / (mol K)
    "A": 1.0,  # GHz
    "B": 1.0,
    "C": 1.0,
}
# Energies of single atoms in Hartree, from the file atomref.txt of QM9.
ATOM_ENERGIES = {
    "U0": {1: -0.500273, 6: -37.846772, 7: -54.583861, 8: -75.064579, 9: -99.718730},
    "U": {1: -0.498857, 6: -37.845355, 7: -54.582445, 8: -75.063163, 9: -99.717314},
    "H": {1: -0.497912, 6: -37.844411, 7: -54.581501, 8: -75.062219, 9: -99.716370},
    "G": {1: -0.510927, 6: -37.861317, 7: -54.598897, 8: -75.079532, 9: -99.733544},
}
TARGETS = (*UNITS, *(f"{name}_atom" for name in ATOM_ENERGIES))
BENCHMARK = (
    "mu", "alpha", "homo", "lumo", "r2", "zpve", "U0_atom", "U_atom", "H_atom", "G_atom", "Cv",
)  # fmt: skip


class Molecules(NamedTuple):
    """Molecules with their properties in the units of the files."""

    numbers: np.ndarray  # atomic numbers, [N, M]; 0 is padding
    positions: np.ndarray  # in angstrom, [N, M, 3]
    bonds: np.ndarray | None  # orders of bonds, [N, M, M]; 0 is none, None if unknown
    properties: dict[str, np.ndarray]  # [N] by name, energies in Hartree


def part_shapes(
    count: int, atoms: int, bonds: bool, targets: tuple[str, ...]
) -> dict[str, jax.ShapeDtypeStruct | dict[str, jax.ShapeDtypeStruct]]:
    """Shapes and types of `count` molecules."""
    channels = 4 if bonds else 1
    inputs = {
        "atoms": jax.ShapeDtypeStruct((count, atoms, len(ELEMENTS)), np.float32),
        "edges": jax.ShapeDtypeStruct((count, atoms, atoms, channels), np.float32),
        "mask": jax.ShapeDtypeStruct((count, atoms), np.bool_),
    }
    return {"inputs": inputs, **dict.fromkeys(targets, jax.ShapeDtypeStruct((count,), np.float32))}


def encode_molecules(
    molecules: Molecules, rows: np.ndarray, targets: tuple[str, ...]
) -> dict[str, np.ndarray | dict[str, np.ndarray]]:
    """Inputs and labels of the molecules with the given indices."""
    labels = {name: target(molecules, name)[rows].astype(np.float32) for name in targets}
    return {"inputs": encode_graphs(molecules, rows), **labels}


def encode_graphs(molecules: Molecules, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Atoms `[N, M, 5]`, edges `[N, M, M, 1 or 4]` and mask `[N, M]` of molecules."""
    numbers = molecules.numbers[rows]
    mask = numbers > 0
    atoms = (numbers[..., None] == np.array(list(ELEMENTS.values()))).astype(np.float32)
    channels = 1 if molecules.bonds is None else 4
    edges = np.empty((*mask.shape, mask.shape[1], channels), np.float32)
    for first in range(0, len(rows), CHUNK):
        part = slice(first, first + CHUNK)
        edges[part] = encode_edges(molecules, rows[part], mask[part])
    return {"atoms": atoms, "edges": edges, "mask": mask}


def encode_edges(molecules: Molecules, rows: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Bonds, if known, and distances of all pairs of atoms, `[N, M, M, 1 or 4]`; 0 for padding."""
    positions = molecules.positions[rows].astype(np.float64)
    distances = np.linalg.norm(positions[:, :, None] - positions[:, None], axis=-1)
    edges = np.where(mask[:, :, None] & mask[:, None], distances, 0)[..., None]
    if molecules.bonds is None:
        return edges
    return np.concatenate([molecules.bonds[rows][..., None] == [1, 2, 3], edges], -1)


def target(molecules: Molecules, name: str) -> np.ndarray:
    """A property `[N]` in the units of `UNITS`; `_atom` is an energy minus those of its atoms."""
    energy = name.removesuffix("_atom")
    values = molecules.properties[energy]
    if energy != name:
        alone = np.zeros(max(ELEMENTS.values()) + 1)
        alone[list(ATOM_ENERGIES[energy])] = list(ATOM_ENERGIES[energy].values())
        values = values - alone[molecules.numbers].sum(1)
    return values * UNITS[energy]
