"""The choice of loops, and loops over seeds and steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment, nets
from mtl_jax.config.execution import Execution
from mtl_jax.runner.execution import default_execution
from mtl_jax.runner.loops import map_seeds, scan_steps
from tests.small import RUN

CNN = RUN.replace(trunk=nets.CNN((4,)))


def test_convolutions_are_unrolled_on_a_cpu_only():
    unrolled = Execution(
        steps_per_call=1, step_loop="unroll", seed_loop="unroll", jacobian_loop="unroll"
    )
    assert default_execution(CNN, "cpu") == unrolled
    assert default_execution(CNN.replace(trunk=nets.PerTaskTrunk(CNN.trunk)), "cpu") == unrolled
    assert default_execution(CNN, "gpu") == default_execution(RUN, "gpu") == Execution()


def test_the_passes_of_other_trunks_are_unrolled_on_a_cpu():
    assert default_execution(RUN, "cpu") == Execution(jacobian_loop="unroll")


def test_policies_with_branches_are_mapped_on_a_cpu_only():
    for field in ("weak", "medium", "strong"):
        run = RUN.replace(augmentation={field: augment.randaugment_fixmatch()})
        assert default_execution(run, "cpu") == Execution(
            seed_loop="unroll", jacobian_loop="unroll", augment_loop="map"
        )
        assert default_execution(run, "gpu") == Execution()
    found = default_execution(
        CNN.replace(augmentation={"strong": augment.ctaugment_fixmatch()}), "cpu"
    )
    assert (found.step_loop, found.augment_loop) == ("unroll", "map")


def test_a_run_decides_for_itself():
    own = Execution(steps_per_call=7, seed_loop="map")
    assert default_execution(CNN.replace(execution=own), "cpu") == own


@pytest.mark.parametrize("how", ["vmap", "unroll", "map"])
def test_beside_maps_what_has_an_axis(how):
    def function(tree, given):
        images, index = given
        return {"sum": tree["a"] + images[index].sum()}

    images, index = jnp.arange(6.0).reshape(3, 2), jnp.array([2, 0])
    tree = {"a": jnp.array([10.0, 20.0])}
    found = jax.jit(map_seeds(how, function, (0, (None, 0))))(tree, (images, index))
    np.testing.assert_array_equal(found["sum"], [10 + 4 + 5, 20 + 0 + 1])


@pytest.mark.parametrize("how", ["scan", "unroll"])
def test_repeat_takes_steps_and_averages_metrics(how):
    def step(state, given):
        return state + given, {"before": state}

    state, metrics = scan_steps(step, how, 3, jnp.float32(1.0), jnp.float32(2.0))
    assert (float(state), float(metrics["before"])) == (7.0, 3.0)  # (1 + 3 + 5) / 3.
