"""Alignment, regularisers and estimates of transfer against reference values, and gradients."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.golden.reading import OWN, names, read
from tests.golden.transfer_methods import ALIGNMENT, TUNING

METHODS = ALIGNMENT | TUNING


def files(directory: pathlib.Path) -> list[dict]:
    """The files of a directory that are of the transfer format."""
    return [
        file for file in read(directory).values() if "features_source" in file.get("inputs", {})
    ]


def test_no_name_stands_twice():
    assert not ALIGNMENT.keys() & TUNING.keys()


def test_own_directory_has_every_method():
    assert names(files(OWN)) == METHODS.keys()


def test_every_name_is_known(golden_dir):
    assert not names(files(golden_dir)) - METHODS.keys()


@pytest.mark.parametrize("name", sorted(METHODS))
def test_method(name, golden_dir):
    found = [file for file in files(golden_dir) if name in file["expected"]]
    if not found:
        pytest.skip(f"no reference values of {name} in {golden_dir}")
    for file in found:
        with jax.enable_x64(True):
            compare(METHODS[name], file["inputs"], file["expected"][name])


def compare(method, given, expected):
    """Compares all that the file says of a method, its gradients too."""
    params = expected.get("params", {})
    inputs = {name: jnp.array(value) for name, value in given.items()}
    inputs |= {name: jnp.array(expected[name]) for name in method.reads}
    results = jax.jit(lambda inputs: method.compute(inputs, params))(inputs)
    said = expected.keys() - {"params", "grad", *method.reads}
    assert results.keys() == said
    for name in said:
        assert results[name].dtype == jnp.float64
        close(results[name], expected[name], dict(method.tolerances).get(name, method.tolerance))
    wanted = expected.get("grad", {})
    if not wanted:
        return

    def value(chosen):
        return method.compute({**inputs, **chosen}, params)["value"]

    grads = jax.jit(jax.grad(value))({name: inputs[name] for name in wanted})
    for name, grad in wanted.items():
        close(grads[name], grad, method.tolerance)


def close(value, wanted, tolerance):
    np.testing.assert_allclose(value, wanted, rtol=tolerance, atol=1e-11)
