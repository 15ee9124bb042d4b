"""Loss weightings against reference values: the value, its derivative, and the weights."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.golden.loss_methods import LOSSES
from tests.golden.reading import read

KEY = jax.random.key(0)


def sequences(directory: pathlib.Path) -> dict[str, dict]:
    """The sequences of losses of a directory, by the name of the file."""
    found = read(directory).items()
    return {name: file["loss_sequence"] for name, file in found if "loss_sequence" in file}


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, golden_dir):
    files = sequences(golden_dir)
    found = {file: item for file, item in files.items() if name in item["expected"]}
    if not found:
        pytest.skip(f"no reference values of {name} in {golden_dir}")
    for file, item in found.items():
        with jax.enable_x64(True):
            follow(name, np.array(item["losses"]), item["expected"][name], file)


def follow(name, sequence, expected, file):
    """Goes through the losses in their order; a method with a post step learns after each."""
    method, state, value = LOSSES[name](expected["params"], sequence.shape[1])
    weigh, slope = jax.jit(method.weigh_losses), jax.jit(jax.value_and_grad(value))
    for i, losses in enumerate(sequence):
        found, derivative = slope(jnp.array(losses), state)
        weights, after = weigh(jnp.array(losses), state, KEY)
        wanted = np.array(expected["dvalue_dlosses"][i])
        assert found.dtype == weights.dtype == jnp.float64
        size = np.abs(wanted * losses).max()
        np.testing.assert_allclose(found, expected["value"][i], rtol=1e-6, atol=1e-6 * size)
        for what in (derivative, weights):
            label = f"{name} {i} of {file}"
            atol = 1e-6 * np.abs(wanted).max()
            np.testing.assert_allclose(what, wanted, rtol=1e-6, atol=atol, err_msg=label)
        if method.uses_post_step:
            state = jax.jit(method.post_step)(jnp.array(after_step(losses)), after)


def after_step(losses):
    """The losses after a step, by the note in the files."""
    return 0.9 * losses * (1.0 - 0.02 * np.arange(len(losses)))
