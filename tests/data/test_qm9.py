"""QM9: TFDS, XYZ and SDF give the same graphs and properties, in the units of the benchmarks."""

import jax
import numpy as np
import pytest
import tensorflow_datasets as tfds

from mtl_jax.core.validation import BadInput
from mtl_jax.data import QM9, DerivedLabels, QM9Files
from mtl_jax.data.datasets.molecules import TARGETS

NAMES = ("A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve")
NAMES += ("U0", "U", "H", "G", "Cv")
# The first molecule of QM9, methane: positions, and the second line of its file.
METHANE = (
    ("C", -0.0126981359, 1.0858041578, 0.0080009958),
    ("H", 0.002150416, -0.0060313176, 0.0019761204),
    ("H", 1.0117308433, 1.4637511618, 0.0002765748),
    ("H", -0.540815069, 1.4475266138, -0.8766437152),
    ("H", -0.5238136345, 1.4379326443, 0.9063972942),
)
PROPERTIES = (157.7118, 157.70997, 157.70699, 0.0, 13.21, -0.3877, 0.1171, 0.5048, 35.3641)
PROPERTIES += (0.044749, -40.47893, -40.476062, -40.475117, -40.498597, 6.469)
# By hand: its energies in electronvolts, and less those of an atom C and four of H.
METHANE_LABELS = {
    "mu": 0.0, "alpha": 13.21, "homo": -10.5499, "lumo": 3.1865, "gap": 13.7363, "r2": 35.3641,
    "zpve": 1.2177, "U0": -1101.4878, "U": -1101.4098, "H": -1101.3840, "G": -1102.0229,
    "Cv": 6.469, "U0_atom": -17.1722, "U_atom": -17.2868, "H_atom": -17.3897, "G_atom": -16.1519,
    "A": 157.7118, "B": 157.7100, "C": 157.7070,
}  # fmt: skip
# MoleculeNet's gdb9.sdf.csv, the first row, in kcal/mol.
MOLECULE_NET = {
    "U0_atom": -395.999594594, "U_atom": -398.643290011, "H_atom": -401.014646522,
    "G_atom": -372.471772148,
}  # fmt: skip
KCAL = 627.509474 / 27.211386246  # kcal/mol of an electronvolt
COUNT = 12


def molecule(number):
    """Atoms, bonds and properties: methane, or a made up chain of N and O."""
    if number == 1:
        return METHANE, [(1, 2, 1), (1, 3, 1), (1, 4, 1), (1, 5, 1)], PROPERTIES
    rng = np.random.default_rng(number)
    count = 2 + number % 3
    atoms = tuple(("NO"[i % 2], *rng.normal(size=3).round(4)) for i in range(count))
    bonds = [(i, i + 1, 1 + (number + i) % 3) for i in range(1, count)]
    return atoms, bonds, tuple(rng.normal(size=len(NAMES)).round(6))


def write_xyz(root):
    for number in range(1, COUNT + 1):
        atoms, _, properties = molecule(number)
        lines = [str(len(atoms)), "\t".join(map(str, ("gdb", number, *properties)))]
        for element, *position in atoms:
            words = [f"{value:.10f}" for value in (*position, 0.1)]
            if number == 2:  # Written by Mathematica: 1.5*^-1 is 0.15.
                words = [f"{10 * value:.10f}*^-1" for value in (*position, 0.1)]
            lines.append("\t".join([element, *words]))
        lines += ["1341.3\t1341.3", "C\tC", "InChI=1\tInChI=1", ""]
        (root / f"dsgdb9nsd_{number:06}.xyz").write_text("\n".join(lines))
    return str(root)


def write_sdf(root):
    texts, rows = [], []
    columns = {"U0": "u0", "U": "u298", "H": "h298", "G": "g298", "Cv": "cv"}
    for number in range(1, COUNT + 1):
        atoms, bonds, properties = molecule(number)
        lines = [f"gdb_{number}", "     RDKit          3D", ""]
        lines.append(f"{len(atoms):3}{len(bonds):3}  0  0  0  0  0  0  0  0999 V2000")
        lines += [f"{x:10.4f}{y:10.4f}{z:10.4f} {e:3} 0  0  0" for e, x, y, z in atoms]
        lines += [f"{a:3}{b:3}{order:3}  0" for a, b, order in bonds]
        texts.append("\n".join([*lines, "M  END", ""]) + "\n$$$$\n")
        rows.append(",".join(map(str, (f"gdb_{number}", *properties))))
    (root / "gdb9.sdf").write_text("".join(texts))
    header = ",".join(["mol_id", *(columns.get(name, name) for name in NAMES)])
    (root / "gdb9.sdf.csv").write_text("\n".join([header, *rows, ""]))
    return str(root)


class StandIn(tfds.builder_cls("qm9"), skip_registration=True):
    """QM9 as its own builder has it, of the molecules above."""

    name = "qm9"

    def _split_generators(self, dl_manager):
        parts = {"train": range(1, 7), "validation": range(7, 9), "test": range(9, 13)}
        return {part: self._generate_examples(numbers) for part, numbers in parts.items()}

    def _generate_examples(self, numbers):
        charges = {"H": 1, "C": 6, "N": 7, "O": 8}
        alone = {"H": -0.500273, "C": -37.846772, "N": -54.583861, "O": -75.064579}  # of U0
        text = dict.fromkeys(("tag", "SMILES", "SMILES_relaxed", "InChI", "InChI_relaxed"), "")
        for number in numbers:
            atoms, _, properties = molecule(number)
            padding = ((0, 29 - len(atoms)), (0, 0))
            example = dict(zip(NAMES, properties, strict=True)) | text
            for name in ("U0", "U", "H", "G"):
                energy = sum(alone[atom[0]] for atom in atoms)
                example[f"{name}_atomization"] = example[name] - energy
            position = np.array([atom[1:] for atom in atoms], np.float32)
            example |= {
                "index": number,
                "num_atoms": len(atoms),
                "positions": np.pad(position, padding),
                "charges": np.pad([charges[a[0]] for a in atoms], padding[0]),
                "Mulliken_charges": np.zeros(29, np.float32),
                "frequencies": np.zeros(3, np.float32),
            }
            yield number, example


def check_parts(source, sizes):
    """Requires that `shapes` tells what `load` gives, and returns the parts in one."""
    splits = source.load()
    assert [len(part[source.targets[0]]) for part in splits] == sizes
    told = jax.tree.map(lambda spec: (spec.shape, spec.dtype), source.shapes())
    assert told == jax.tree.map(lambda array: (array.shape, array.dtype), dict(splits.train))
    assert source.num_labelled() == sizes[0]
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *map(dict, splits))


def check_graph(inputs, row, number, max_atoms=29):
    """Compares a graph with its molecule."""
    atoms, bonds, _ = molecule(number)
    count = len(atoms)
    assert inputs["mask"][row].tolist() == [i < count for i in range(max_atoms)]
    elements = ["HCNOF"[k] for k in inputs["atoms"][row, :count].argmax(-1)]
    assert elements == [atom[0] for atom in atoms]
    np.testing.assert_array_equal(inputs["atoms"][row].sum(-1), inputs["mask"][row])
    edges = inputs["edges"][row]
    assert not edges[count:].any() and not edges[:, count:].any()
    for i, a in enumerate(atoms):
        for j, b in enumerate(atoms):
            distance = sum((p - q) ** 2 for p, q in zip(a[1:], b[1:], strict=True)) ** 0.5
            np.testing.assert_allclose(edges[i, j, -1], distance, atol=2e-4)
    if edges.shape[-1] == 4:
        wanted = np.zeros((max_atoms, max_atoms, 3))
        for a, b, order in bonds:
            wanted[a - 1, b - 1, order - 1] = wanted[b - 1, a - 1, order - 1] = 1
        np.testing.assert_array_equal(edges[..., :3], wanted)


@pytest.mark.parametrize("write", [write_xyz, write_sdf])
def test_files_hold_the_molecules(tmp_path, write):
    source = QM9Files(write(tmp_path), TARGETS, validation=2, test=3, max_atoms=7)
    parts = check_parts(source, [7, 2, 3])
    wanted = {round(molecule(n)[2][3], 4): n for n in range(1, COUNT + 1)}
    numbers = [wanted[round(float(mu), 4)] for mu in parts["mu"]]
    assert sorted(numbers) == list(range(1, COUNT + 1)) != numbers
    for row, number in enumerate(numbers):
        check_graph(parts["inputs"], row, number, 7)
    first = numbers.index(1)
    for name, value in METHANE_LABELS.items():
        np.testing.assert_allclose(parts[name][first], value, atol=6e-5, rtol=2e-7)
    for name, value in MOLECULE_NET.items():
        np.testing.assert_allclose(parts[name][first] * KCAL, value, rtol=1e-6)
    same = QM9Files(str(tmp_path), TARGETS, validation=2, test=3, max_atoms=7).load()
    np.testing.assert_array_equal(same.test["mu"], source.load().test["mu"])


@pytest.mark.parametrize("write", [write_xyz, write_sdf])
def test_uncharacterized_molecules_are_left_out(tmp_path, write):
    path = write(tmp_path)
    lines = ["3054 molecules", "", "Index  SMILES", "1  C", "     12  CC", "Total: 2", ""]
    (tmp_path / "uncharacterized.txt").write_text("\n".join(lines))
    parts = check_parts(QM9Files(path, ("mu",), validation=2, test=3), [5, 2, 3])
    left = {round(molecule(n)[2][3], 4) for n in range(2, COUNT)}
    assert {round(float(mu), 4) for mu in parts["mu"]} == left


def test_tfds_has_the_same(tmp_path):
    StandIn(
        data_dir=str(tmp_path), config="dimenet", file_format="array_record"
    ).download_and_prepare()
    source = QM9(str(tmp_path), TARGETS)
    parts = check_parts(source, [6, 2, 4])
    numbers = {round(molecule(n)[2][3], 4): n for n in range(1, COUNT + 1)}
    for row, mu in enumerate(parts["mu"]):
        check_graph(parts["inputs"], row, numbers[round(float(mu), 4)])
    first = np.argmin(np.abs(parts["alpha"] - 13.21))
    for name in set(METHANE_LABELS) - {
        "U_atom",
        "H_atom",
        "G_atom",
    }:  # Not of the stand-in's atoms.
        np.testing.assert_allclose(parts[name][first], METHANE_LABELS[name], atol=2e-4, rtol=2e-7)


def test_shapes_need_no_data_and_loading_does(tmp_path):
    for split, count in (("dimenet", 110_000), ("cormorant", 100_000)):
        source = QM9(str(tmp_path), split=split)
        assert source.shapes()["U0_atom"].shape == (count,) and len(source.targets) == 11
        with pytest.raises(BadInput, match=rf"call mtl_jax\.data\.prepare\('qm9/{split}'"):
            source.load()


def num_atoms(arrays):
    return arrays["inputs"]["mask"].sum(1).astype(np.float32)


def test_labels_are_derived_from_graphs(tmp_path):
    files = QM9Files(write_xyz(tmp_path), ("mu",), validation=2, test=3)
    source = DerivedLabels(files, (("atoms", num_atoms),))
    assert source.shapes()["atoms"].shape == (7,) and source.num_labelled() == 7
    assert source.load().train["atoms"].min() >= 2


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["5", "gdb 3 1 2"], "must be a molecule in QM9's XYZ format"),
        (["x"], "must be a molecule in QM9's XYZ format"),
        (["1", f"gdb 3 {' 1' * 15}", "Cl 0 0 0 0"], "must have atoms of .*, not 'Cl'"),
    ],
)
def test_molecules_that_do_not_fit_are_named(tmp_path, lines, text):
    path = write_xyz(tmp_path)
    (tmp_path / "dsgdb9nsd_000003.xyz").write_text("\n".join(lines))
    with pytest.raises(BadInput, match=rf"dsgdb9nsd_000003\.xyz {text}"):
        QM9Files(path, validation=2, test=3).load()


def test_sizes_that_do_not_fit_are_named(tmp_path):
    path = write_xyz(tmp_path)
    with pytest.raises(BadInput, match=r"max_atoms must be at least 5, .*000001\.xyz, not 4"):
        QM9Files(path, validation=2, test=3, max_atoms=4).load()
    with pytest.raises(BadInput, match=r"must have more molecules than .*, 20000, not 12"):
        QM9Files(path).shapes()
    (tmp_path / "other.xyz").write_text("")
    with pytest.raises(BadInput, match=r"other\.xyz must be called dsgdb9nsd_<number>\.xyz"):
        QM9Files(path).shapes()
    with pytest.raises(BadInput, match=r"must have files dsgdb9nsd_\*\.xyz, or gdb9\.sdf"):
        (tmp_path / "none").mkdir()
        QM9Files(str(tmp_path / "none")).shapes()


def test_sdf_that_does_not_fit_is_named(tmp_path):
    path = write_sdf(tmp_path)
    text = (tmp_path / "gdb9.sdf").read_text()
    source = QM9Files(path, validation=2, test=3)
    (tmp_path / "gdb9.sdf").write_text(text.replace("  1  2  1  0", "  1  9  1  0", 1))
    with pytest.raises(BadInput, match=r"gdb9\.sdf, molecule 1 must be .*bond \(1, 9, 1\)"):
        source.load()
    (tmp_path / "gdb9.sdf").write_text(text[: text.index("$$$$\n") + 5])
    with pytest.raises(BadInput, match=r"gdb9\.sdf must have the 12 molecules of its table, not 1"):
        source.load()
    (tmp_path / "gdb9.sdf").write_text(text)
    table = (tmp_path / "gdb9.sdf.csv").read_text()
    (tmp_path / "gdb9.sdf.csv").write_text(table.replace("u298", "u300"))
    with pytest.raises(BadInput, match=r"gdb9\.sdf\.csv must have the columns \['u298'\]"):
        source.load()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"path": 3}, "path must be a string"),
        ({"targets": ()}, "targets must be different ones of"),
        ({"targets": ("mu", "mu")}, "targets must be different ones of"),
        ({"targets": ("u0",)}, "targets must be different ones of"),
        ({"test": 0}, "test must be at least 1"),
        ({"max_atoms": 0}, "max_atoms must be at least 1"),
    ],
)
def test_settings_are_checked(settings, text):
    with pytest.raises(BadInput, match=rf"QM9Files\.{text}"):
        QM9Files(**({"path": "x"} | settings))
    with pytest.raises(BadInput, match=r"QM9\.split must be one of"):
        QM9("x", split="original")
