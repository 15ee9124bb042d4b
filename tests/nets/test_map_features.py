"""Architectures over a trunk that gives maps: the same parameters, features at every pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.features import Pyramid
from tests.nets.through import QUICK

X = jax.random.normal(jax.random.key(1), (2, 9, 12, 3))
CNN = nets.ResNet(18, width=2)
# Their features are linear in the last map, so that its mean is the vector.
LINEAR = {
    "AdaShare": nets.AdaShare, "CGC": nets.CGC, "CrossStitch": nets.CrossStitch,
    "DSelectK": nets.DSelectK, "LTB": nets.LTB, "MMoE": nets.MMoE, "MTAN": nets.MTAN,
    "NDDR": nets.NDDR, "PLE": lambda trunk, tasks: nets.PLE(trunk, (), tasks=tasks),
}  # fmt: skip
OTHERS = {
    "Adapters": nets.Adapters, "Cascaded": nets.Cascaded, "FiLM": nets.FiLM,
    "LowRank": nets.LowRank, "Sluice": nets.Sluice,
    "NDDR with shortcuts": lambda trunk, tasks: nets.NDDR(trunk, shortcut=True, tasks=tasks),
}  # fmt: skip


def made(name, kind):
    make = (LINEAR | OTHERS)[name]
    return make(CNN.clone(features=kind), tasks=("a", "b"))


@pytest.mark.slow
@pytest.mark.parametrize("name", LINEAR)
def test_the_mean_of_the_map_is_the_vector(name):
    vector, features = (made(name, kind) for kind in ("vector", "map"))

    def apply(x):
        keys = {"params": jax.random.key(0), "draw": jax.random.key(2)}
        variables = vector.init(keys, x, train=False)
        return [net.apply(variables, x, train=False) for net in (vector, features)]

    wanted, got = jax.jit(apply, compiler_options=QUICK)(X)
    for task in ("a", "b"):
        assert got[task].shape == (2, 2, 2, 16) and got[task].std() > 0
        np.testing.assert_allclose(got[task].mean((1, 2)), wanted[task], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", [*LINEAR, *OTHERS])
def test_every_task_has_a_map(name):
    def apply(key, x):
        return made(name, "map").init_with_output({"params": key, "draw": key}, x, train=False)[0]

    got = jax.eval_shape(apply, jax.eval_shape(lambda: jax.random.key(0)), X)
    assert {task: each.shape[:3] for task, each in got.items()} == dict.fromkeys("ab", (2, 2, 2))


def test_experts_with_pyramids_are_mixed_map_by_map():
    net = nets.MMoE(CNN.clone(features="pyramid"), experts=2, tasks=("a",))
    got = jax.eval_shape(
        lambda key, x: net.init_with_output(key, x, train=False)[0]["a"],
        jax.eval_shape(lambda: jax.random.key(0)),
        jax.ShapeDtypeStruct((2, 16, 16, 3), jnp.float32),
    )
    assert isinstance(got, Pyramid)
    assert [each.shape for each in got.maps] == [
        (2, 16, 16, 2), (2, 8, 8, 4), (2, 4, 4, 8), (2, 2, 2, 16)
    ]  # fmt: skip
