"""Stages of trunks: together they are the trunk, and its parameters keep their names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.tree import leaf_paths

X = jax.random.uniform(jax.random.key(1), (5, 6, 6, 1))
TRUNKS = [
    nets.MLP((8, 4)),
    nets.MLP((8, 4), batch_norm=True),
    nets.CNN((3, 4)),
    nets.CNN((3, 4), batch_norm=False),
]

# Drawn by the trunks before they were cut in stages.
DENSE = [-0.38933286, 0.17784947, -0.3247388]
CONV = [0.3169344, -0.13649303, 0.21963269]


def part_of(tree, depth):
    """The parameters or statistics of one stage of MLP and CNN."""
    return {f"{name[:-1]}0": leaf for name, leaf in tree.items() if name.endswith(str(depth))}


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("trunk", TRUNKS, ids=lambda trunk: f"{type(trunk).__name__}")
def test_stages_one_after_the_other_are_the_trunk(trunk, train):
    variables = jax.jit(lambda: trunk.init(jax.random.key(0), X, train=False))()

    @jax.jit
    def both(variables):
        whole, moved = trunk.apply(variables, X, train=train, mutable=["batch_stats"])
        x, stats = X, {}
        for depth, stage in enumerate(trunk.stages()):
            own = {name: part_of(tree, depth) for name, tree in variables.items()}
            x, after = stage.apply(own, x, train=train, mutable=["batch_stats"])
            stats[depth] = after.get("batch_stats", {})
        return whole, trunk.pool(x), moved.get("batch_stats", {}), stats

    whole, pieced, moved, stats = both(variables)
    np.testing.assert_allclose(pieced, whole, atol=1e-6)
    assert whole.std() > 0
    for depth, after in stats.items():
        for name, leaf in part_of(moved, depth).items():
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after[name], leaf
            )


def test_a_stage_has_the_parameters_of_its_part():
    stage = nets.CNN((3, 4)).stages()[1]
    variables = stage.init(jax.random.key(0), jnp.zeros((1, 6, 6, 3)), train=False)
    assert leaf_paths(variables["params"]) == [
        "BatchNorm_0/bias",
        "BatchNorm_0/scale",
        "Conv_0/kernel",
    ]
    assert variables["params"]["Conv_0"]["kernel"].shape == (3, 3, 3, 4)
    assert stage.apply(variables, jnp.zeros((1, 6, 6, 3)), train=False).shape == (1, 3, 3, 4)


def test_draws_of_trunks_are_what_they_were():
    """Pretrained trunks and resumed runs lean on it."""
    first = {}
    for trunk in (nets.MLP((8, 4)), nets.CNN((3, 4))):
        params = trunk.init(jax.random.key(0), X, train=False)["params"]
        name, kernel = next((n, p["kernel"]) for n, p in params.items() if "kernel" in p)
        first[name] = np.asarray(kernel).ravel()[:3]
    np.testing.assert_allclose(first["Dense_0"], DENSE, rtol=1e-5)
    np.testing.assert_allclose(first["Conv_0"], CONV, rtol=1e-5)
