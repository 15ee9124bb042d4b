"""Weightings and aggregators against reference values: weights, directions, derivatives."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import MGDA, UPGrad
from mtl_jax.aggregation.pcgrad import project
from mtl_jax.solvers import check_square
from mtl_jax.weighting import Equal, Uncertainty, uncertainty_value

KEY = jax.random.key(0)


def equal(gram):
    check_square(gram)
    return Equal().weigh_losses(gram[0], (), KEY)[0]


def in_index_order(gram):
    return project(gram, jnp.tile(jnp.arange(len(gram)), (len(gram), 1)))


# Name in the file -> weights of a Gram matrix, and the relative tolerance.
GRAM = {
    "mean": (lambda gram: equal(gram) / len(gram), 1e-6),
    "sum": (equal, 1e-6),
    "pcgrad": (in_index_order, 1e-6),
    "mgda": (lambda gram: MGDA().weigh_gram(gram, (), KEY)[0], 1e-6),
    "upgrad": (lambda gram: UPGrad().weigh_gram(gram, (), KEY)[0], 1e-4),
}
LOSSES = {"uw": uncertainty_value}

# Names in the files that no method here stands for yet, by the part of the file.
LATER = {
    "gramian_cases": (
        "aligned_mtl",
        "aligned_mtl_median",
        "cagrad",
        "config",
        "dualproj",
        "fairgrad_1",
        "fairgrad_2",
        "gradvac",
        "imtl_g",
        "krum",
        "nash_mtl",
        "pcd",
        "sdmgrad",
        "trimmed_mean",
    ),
    "gramian_sequence": ("cr_mogm_upgrad", "excess_mtl", "gradvac", "modo", "pcd", "sdmgrad"),
    "loss_sequence": (
        "cosmos",
        "famo",
        "geometric_mean",
        "imtl_l",
        "pbi",
        "stch",
        "stch_weighted",
    ),
}
KNOWN = {"gramian_cases": set(GRAM), "gramian_sequence": set(), "loss_sequence": set(LOSSES)}


def files(directory: pathlib.Path) -> dict[str, dict]:
    """The files of a directory that are of the balancing format, by name."""
    read = {path.name: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))}
    return {name: file for name, file in read.items() if file.keys() & LATER.keys()}


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


def test_own_directory_has_every_method():
    for part, found in names(pathlib.Path(__file__).parent).items():
        assert found == KNOWN[part] | set(LATER[part])


def test_every_name_is_known(golden_dir):
    assert files(golden_dir), f"no file of the balancing format in {golden_dir}"
    for part, found in names(golden_dir).items():
        assert not found - KNOWN[part] - set(LATER[part]), part


@pytest.mark.parametrize(
    ("part", "name"), [(part, name) for part, later in LATER.items() for name in later]
)
def test_later(part, name):
    pytest.skip(f"no {name} yet ({part})")


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
        wanted = np.array(expected["weights"])
        if name != "mgda" or affinely_independent(jacobian):  # Otherwise they are not unique.
            close(weights, wanted, tolerance, np.abs(wanted).max(), label)
        longest = (np.abs(wanted) * np.linalg.norm(jacobian, axis=1)).max()
        close(weights @ jacobian, expected["direction"], tolerance, longest, label)


def affinely_independent(points: np.ndarray) -> bool:
    """Whether every point of the hull is a combination of the points in one way only."""
    differences = points[1:] - points[0]
    return np.linalg.matrix_rank(differences) == len(differences)


def test_uncertainty(golden_dir):
    found = [
        (item["losses"], item["expected"]["uw"])
        for item in sequences(golden_dir, "loss_sequence")
        if "uw" in item["expected"]
    ]
    if not found:
        pytest.skip(f"no reference values of uw in {golden_dir}")
    method = Uncertainty()
    for losses, expected in found:
        with jax.enable_x64(True):
            given = jnp.array(expected["params"]["log_var"])
            state = method.init(len(given))._replace(log_variance=given)
            weigh = jax.jit(lambda row, state=state: method.weigh_losses(row, state, KEY)[0])
            slope = jax.jit(jax.value_and_grad(uncertainty_value))
            for row, value, weights in zip(
                losses, expected["value"], expected["dvalue_dlosses"], strict=True
            ):
                ours, derivative = slope(jnp.array(row), given)
                close(ours, value, 1e-6, 0.0, "value")
                close(derivative, weights, 1e-6, 0.0, "derivative")
                close(weigh(jnp.array(row)), weights, 1e-6, 0.0, "weights")


def close(value, wanted, tolerance, scale, label):
    np.testing.assert_allclose(value, wanted, rtol=tolerance, atol=tolerance * scale, err_msg=label)
