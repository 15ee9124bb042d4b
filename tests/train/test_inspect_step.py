"""The inspection of a step: its losses are those of the step, whatever the balance asks for."""

import jax
import numpy as np
import pytest

from mtl_jax import aggregation, weighting
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from tests.small import RUN


@pytest.mark.slow
@pytest.mark.parametrize(
    "balance",
    [weighting.Equal(), aggregation.PCGrad(), aggregation.AutoLambda(), aggregation.SDMGrad()],
)
def test_losses_are_those_of_the_step_and_all_is_finite(balance):
    run = RUN.replace(balance=balance)
    prepared = load_run_data(run).train
    compiled = compile_run(run, prepared)
    state, data = compiled.init(None), compiled.put_data(prepared)
    found = jax.device_get(compiled.inspect(state, data))
    _, metrics = compiled.train_steps(state, data, 1)
    for k, task in enumerate(run.tasks):
        np.testing.assert_allclose(found.losses[:, k], metrics[f"loss/{task.name}"], rtol=1e-5)
    for tree in (*found.gradients.values(), found.combined):
        leaves = jax.tree.leaves(tree)
        assert len(leaves) == len(jax.tree.leaves(state.params)) and np.all(leaves)
    # The Gram matrix is symmetric, and positive on its diagonal.
    np.testing.assert_allclose(found.gramian, found.gramian.swapaxes(1, 2), rtol=1e-5)
    assert (np.diagonal(found.gramian, axis1=1, axis2=2) > 0.0).all()
