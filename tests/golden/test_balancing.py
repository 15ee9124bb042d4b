"""Aggregators against reference values: weights and directions, alone and step after step."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.golden.loss_methods import LOSSES
from tests.golden.methods import GRAM, JACOBIAN, SEQUENCE
from tests.golden.reading import OWN, read

KNOWN = {
    "gramian_cases": {*GRAM, *JACOBIAN},
    "gramian_sequence": set(SEQUENCE),
    "loss_sequence": set(LOSSES),
}


def files(directory: pathlib.Path) -> dict[str, dict]:
    """The files of a directory that are of the balancing format, by name."""
    return {name: file for name, file in read(directory).items() if file.keys() & KNOWN.keys()}


def cases(directory: pathlib.Path) -> list[tuple[str, dict]]:
    """All Jacobians of a directory, each with the name that a failure is reported by."""
    return [
        (f"{name} {case['id']}", case)
        for name, file in files(directory).items()
        for case in file.get("gramian_cases", ())
    ]


def sequences(directory: pathlib.Path, part: str) -> list[dict]:
    """One of the two sequences of every file that has it."""
    return [file[part] for file in files(directory).values() if part in file]


def names(directory: pathlib.Path) -> dict[str, set[str]]:
    """The methods that the files of a directory speak of, by the part of the file."""
    found = {"gramian_cases": {name for _, case in cases(directory) for name in case["expected"]}}
    for part in ("gramian_sequence", "loss_sequence"):
        found[part] = {name for item in sequences(directory, part) for name in item["expected"]}
    return found


@pytest.mark.parametrize("part", KNOWN)
def test_every_name_is_known(part, golden_dir):
    assert files(golden_dir), f"no file of the balancing format in {golden_dir}"
    assert not names(golden_dir)[part] - KNOWN[part]


def test_own_directory_has_every_method():
    assert names(OWN) == KNOWN


@pytest.mark.parametrize("name", GRAM)
def test_gram(name, golden_dir):
    found = [(case, item) for case, item in cases(golden_dir) if name in item["expected"]]
    if not found:
        pytest.skip(f"no reference values of {name} in {golden_dir}")
    weigh, tolerance = GRAM[name]
    weigh = jax.jit(weigh)
    for label, case in found:
        jacobian, expected = np.array(case["jacobian"]), case["expected"][name]
        with jax.enable_x64(True):
            weights = np.asarray(weigh(jnp.array(jacobian @ jacobian.T)))
        assert weights.dtype == np.float64
        wanted = np.array(expected.get("weights", weights))
        if name not in ("mgda", "cagrad") or affinely_independent(
            jacobian
        ):  # Otherwise they are not unique.
            close(weights, wanted, tolerance, np.abs(wanted).max(), label)
        longest = (np.abs(wanted) * np.linalg.norm(jacobian, axis=1)).max()
        close(weights @ jacobian, expected["direction"], tolerance, longest, label)


@pytest.mark.parametrize("name", JACOBIAN)
def test_jacobian(name, golden_dir):
    found = [(case, item) for case, item in cases(golden_dir) if name in item["expected"]]
    if not found:
        pytest.skip(f"no reference values of {name} in {golden_dir}")
    combine, tolerance = JACOBIAN[name]
    combine = jax.jit(combine)
    for label, case in found:
        jacobian, wanted = np.array(case["jacobian"]), case["expected"][name]["direction"]
        with jax.enable_x64(True):
            direction = combine(jnp.array(jacobian))
        assert direction.dtype == np.float64
        close(direction, wanted, tolerance, np.abs(jacobian).max(), label)


def affinely_independent(points: np.ndarray) -> bool:
    """Whether every point of the hull is a combination of the points in one way only."""
    differences = points[1:] - points[0]
    return np.linalg.matrix_rank(differences) == len(differences)


@pytest.mark.parametrize("name", SEQUENCE)
def test_sequence(name, golden_dir):
    found = [i for i in sequences(golden_dir, "gramian_sequence") if name in i["expected"]]
    if not found:
        pytest.skip(f"no reference values of {name} in {golden_dir}")
    start, step, tolerance = SEQUENCE[name]
    step = jax.jit(step)
    for item in found:
        jacobians = np.array(item["jacobians"])
        with jax.enable_x64(True):
            state = start(jacobians[0])
            for i, wanted in enumerate(item["expected"][name]["weights"]):
                weights, state = step(jnp.array(jacobians[i]), state)
                close(weights, wanted, tolerance, np.abs(wanted).max(), f"{name} {i}")


def close(value, wanted, tolerance, scale, label):
    np.testing.assert_allclose(value, wanted, rtol=tolerance, atol=tolerance * scale, err_msg=label)
