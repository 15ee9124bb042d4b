"""AdaShare: skips by hand, when policies set in, and what they cost."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from tests.nets.through import HEADS, QUICK, X, features, through

MLP = nets.MLP((6, 6, 6))
SHARE = nets.AdaShare(MLP, warm_up=0, curriculum=0)


def with_policy(params, first, second):
    own = {"task_policy1": np.float32(first), "task_policy2": np.float32(second)}
    return {**params, "tasks": {**params["tasks"], "own": own}}


def run_of(params, *depths):
    """What the blocks at these depths give, one after the other."""
    x = np.asarray(X).reshape(5, -1)
    for depth in depths:
        one = params["shared"][f"block{depth}"]["Dense_0"]
        x = np.maximum(x @ one["kernel"] + one["bias"], 0.0)
    return x


def test_all_blocks_run_at_first():
    seen = through(SHARE)
    for task in HEADS:
        wanted = run_of(seen.params, 0, 1, 2)
        np.testing.assert_allclose(seen.plain.features[task], wanted, atol=1e-5)


def test_tasks_skip_what_their_policies_say():
    seen = through(SHARE)
    params = with_policy(seen.params, [1.0, -1.0], [-0.1, 0.1])
    got = features(SHARE, params, seen.stats)
    np.testing.assert_allclose(got["row"], run_of(params, 0, 1), atol=1e-5)
    np.testing.assert_allclose(got["task"], run_of(params, 0, 2), atol=1e-5)


@pytest.mark.slow
def test_a_block_that_changes_the_shape_always_runs():
    seen = through(nets.AdaShare(nets.MLP((8, 4, 4)), init_keep_prob=0.75))
    own = seen.params["tasks"]["own"]
    assert own.keys() == {"task_policy2"}
    np.testing.assert_allclose(own["task_policy2"], np.log(3.0), rtol=1e-6)
    with pytest.raises(BadInput, match=r"AdaShare.trunk must have a stage that can be skipped"):
        through(nets.AdaShare(nets.CNN((4, 4))))


def test_residual_blocks_have_a_policy_each():
    net = nets.make_model(nets.AdaShare(nets.ResNet(18, width=2)), HEADS)
    x = jnp.zeros((1, 8, 8, 1))
    params, _ = jax.eval_shape(net.init, jax.random.key(0), x)
    assert params["tasks"]["own"].keys() == {f"task_policy{depth}" for depth in range(1, 9)}
    assert params["shared"].keys() == {f"block{depth}" for depth in range(9)}


@functools.cache
def trained(steps, **settings):
    """Features and gradients of policies of task "row" at a step, without noise."""
    share = nets.AdaShare(MLP, **settings)
    net, seen = nets.make_model(share, HEADS), through(SHARE)

    def score(params):
        outputs, _ = net.apply(params, {"steps": jnp.int32(steps)}, X, train=True)
        return jnp.square(outputs.logits["row"]).sum(), outputs.features["row"]

    both = jax.value_and_grad(score, has_aux=True)
    (_, features), grads = jax.jit(both, compiler_options=QUICK)(seen.params)
    return features, grads["tasks"]["own"]


def test_policies_set_in_after_the_warm_up_the_last_block_first():
    settings = {"warm_up": 5, "curriculum": 10}
    alive = {
        steps: [bool((trained(steps, **settings)[1][f"task_policy{d}"] != 0).any()) for d in (1, 2)]
        for steps in (4, 5, 14, 15)
    }
    assert alive == {4: [False] * 2, 5: [False, True], 14: [False, True], 15: [True, True]}
    np.testing.assert_allclose(
        trained(4, **settings)[0], run_of(through(SHARE).params, 0, 1, 2), atol=1e-5
    )


def test_gates_in_training_by_hand():
    """Without noise, a gate is sigmoid(logit / temperature)."""
    settings = {"warm_up": 5, "curriculum": 10, "temperature": 4.0, "decay": 0.5, "period": 2}
    got, _ = trained(7, **settings)  # two steps after the warm-up, so 4 / 2.
    gate = 1 / (1 + np.exp(-np.log(9.0) / 2.0))
    params = through(SHARE).params
    wanted = gate * run_of(params, 0, 1, 2) + (1 - gate) * run_of(params, 0, 1)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-6)


def test_policies_belong_to_tasks():
    seen = through(SHARE)
    of_row = seen.grads["row"]["tasks"]["own"]
    for policy in of_row.values():
        assert policy[0] != 0 and policy[1] == 0
    other = seen.trained.features
    assert not np.allclose(other["row"], other["task"])  # their draws differ.


def test_cost_by_hand():
    """P is 1/4 and 3/4 in the first block, 1/2 and 1/4 in the second (of two)."""
    p = np.array([[0.25, 0.75], [0.5, 0.25]])
    logits = np.log(p / (1 - p)).astype(np.float32)
    own = {"task_policy10": logits[1], "task_policy2": logits[0], "task_other": np.ones(3)}
    params = {"shared": {}, "tasks": {"heads": {}, "own": own}}
    sparse = nets.PolicyCost(sparsity=2.0, sharing=0.0)(params, None)
    np.testing.assert_allclose(sparse, 2.0 * np.log(p).sum(), rtol=1e-5)
    shared = nets.PolicyCost(sparsity=0.0, sharing=1.0)(params, None)
    np.testing.assert_allclose(shared, 0.5 + 0.5 * 0.25, rtol=1e-5)


def test_cost_makes_tasks_skip_and_has_bounded_gradients():
    cost = nets.PolicyCost(sparsity=1.0, sharing=0.0)

    def of(logits):
        return cost({"shared": {}, "tasks": {"heads": {}, "own": {"task_policy1": logits}}}, None)

    np.testing.assert_allclose(jax.grad(of)(jnp.array([-100.0, 0.0])), [1.0, 0.5], rtol=1e-5)


def test_bad_costs_are_refused():
    with pytest.raises(BadInput, match=r"PolicyCost.sharing must be at least 0"):
        nets.PolicyCost(sparsity=1.0, sharing=-1.0)
    with pytest.raises(BadInput, match=r"needs policies: trunk=nets.AdaShare"):
        nets.PolicyCost(sparsity=1.0, sharing=1.0)({"shared": {}, "tasks": {"heads": {}}}, None)
