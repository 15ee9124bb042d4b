"""LTB: a tree by hand, the warm-up, the temperature, and whose choices they are."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from tests.nets.through import HEADS, QUICK, X, features, through

MLP = nets.MLP((6, 4))
LTB = nets.LTB(MLP, warm_up=0)


def tree(params, first, last):
    """Parameters of which each node follows what the rows of logits say."""
    tasks = {**params["tasks"], "own": {"task_branch": np.float32(last)}}
    return {"shared": {**params["shared"], "branch1": np.float32(first)}, "tasks": tasks}


def path_through(params, *nodes):
    """What the MLP of the nodes gives."""
    own = {
        f"Dense_{depth}": params["shared"][f"stage{depth}_{node}"]["Dense_0"]
        for depth, node in enumerate(nodes)
    }
    return MLP.apply({"params": own}, X, train=False)


@pytest.mark.slow
def test_a_tree_by_hand():
    """Task 0 goes by node 1, which follows node 0; task 1 by node 0, which follows node 1."""
    seen = through(LTB)
    params = tree(seen.params, [[0, 1], [2, 1]], [[-1, 0], [0, -3]])
    got = features(LTB, params, seen.stats)
    np.testing.assert_allclose(got["row"], path_through(params, 0, 1), atol=1e-5)
    np.testing.assert_allclose(got["task"], path_through(params, 1, 0), atol=1e-5)


@pytest.mark.slow
def test_a_draw_in_training_is_one_of_the_trees():
    seen = through(LTB)
    trees = [path_through(seen.params, i, j) for i in (0, 1) for j in (0, 1)]
    for each in seen.trained.features.values():
        assert min(np.abs(each - one).max() for one in trees) < 1e-5


def test_the_warm_up_averages_over_all_parents():
    seen = through(nets.LTB(MLP, warm_up=3))
    np.testing.assert_allclose(seen.trained.features["row"], seen.trained.features["task"])
    shared = seen.params["shared"]

    def layer(x, name):
        one = shared[name]["Dense_0"]
        return np.maximum(x @ one["kernel"] + one["bias"], 0.0)

    x = np.asarray(X).reshape(5, -1)
    x = (layer(x, "stage0_0") + layer(x, "stage0_1")) / 2
    x = (layer(x, "stage1_0") + layer(x, "stage1_1")) / 2
    np.testing.assert_allclose(seen.trained.features["row"], x, atol=1e-5)
    grads = seen.grads["row"]
    assert (grads["shared"]["branch1"] == 0).all()
    assert (grads["tasks"]["own"]["task_branch"] == 0).all()


def push(ltb, steps):
    """The gradient of the branches at a step, without noise."""
    net, seen = nets.make_model(ltb, HEADS), through(LTB)

    def score(params):
        outputs, _ = net.apply(params, {"steps": jnp.int32(steps)}, X, train=True)
        return jnp.square(outputs.logits["row"]).sum()

    return jax.jit(jax.grad(score), compiler_options=QUICK)(seen.params)["shared"]["branch1"]


def test_the_temperature_falls_with_the_root_of_the_steps():
    make = functools.partial(nets.LTB, MLP, period=10, warm_up=5)
    warm = push(make(temperature=8.0), 5)
    np.testing.assert_allclose(push(make(temperature=8.0), 35), push(make(temperature=4.0), 5))
    # All logits are 0: the gradient goes with 1 / temperature.
    np.testing.assert_allclose(push(make(temperature=8.0), 35), 2.0 * warm, rtol=1e-5)
    assert (warm != 0).any() and (push(make(temperature=8.0), 4) == 0).all()


def test_the_last_choice_belongs_to_its_task():
    seen = through(LTB)
    assert seen.params["tasks"]["own"].keys() == {"task_branch"}
    of_row = seen.grads["row"]["tasks"]["own"]["task_branch"]
    assert (of_row[0] != 0).any() and (of_row[1] == 0).all()
    assert {"branch1", "stage0_0", "stage1_1"} <= seen.params["shared"].keys()
    assert seen.stats["steps"] == 0 and seen.moved["steps"] == 1


@pytest.mark.parametrize(("field", "value"), [("trunk", LTB)])
def test_bad_settings_are_refused(field, value):
    with pytest.raises(BadInput, match=rf"LTB.{field} must"):
        nets.LTB(**{field: value})
