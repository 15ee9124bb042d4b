"""DSelect-k: the smooth step, codes by hand, sparse gates, its penalty, and bad settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.multitask.dselect_k import selector_weights, smooth_step
from tests.nets.bodies import X, changed, encoder, made, moved_by

EXPERT = nets.MLP((4,))
TRUNK = nets.DSelectK(EXPERT, experts=3, num_selected=2)
BY_INPUT = nets.DSelectK(EXPERT, experts=3, num_selected=2, static_gates=False)


def gates(**codes):
    """Gates of tasks with logits [0, log 3], that is weights 1/4 and 3/4, and given codes."""
    logits = jnp.log(jnp.array([1.0, 3.0]))
    return {name: {"logits": logits, "codes": jnp.array(z)} for name, z in codes.items()}


def test_smooth_step_by_hand():
    t = jnp.array([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])
    # -2 (t/2)^3 + 3/2 (t/2) + 1/2 within +-1.
    wanted = [0.0, 0.0, 0.15625, 0.5, 0.84375, 1.0, 1.0]
    np.testing.assert_array_equal(smooth_step(t, 2.0), wanted)
    slope = jax.vmap(jax.grad(smooth_step), (0, None))(t, 2.0)
    np.testing.assert_allclose(slope, [0.0, 0.0, 0.5625, 0.75, 0.5625, 0.0, 0.0])


def test_codes_are_binary_numbers_of_experts():
    low, high = -0.5, 0.5
    codes = jnp.array([[low, low, low], [high, low, low], [low, high, low], [high, low, high]])
    np.testing.assert_array_equal(selector_weights(codes, 8, 1.0), np.eye(8)[[0, 1, 2, 5]])
    np.testing.assert_array_equal(
        selector_weights(codes[3], 5, 1.0), np.zeros(5)
    )  # Code 5 names no expert of 5.


def test_half_way_every_expert_is_chosen_alike():
    np.testing.assert_array_equal(selector_weights(jnp.zeros(2), 3, 1.0), [0.25, 0.25, 0.25])


@pytest.mark.slow
def test_selectors_that_have_chosen_mix_two_experts_by_their_logits():
    _, params, stats = made(TRUNK)
    row, height = [[2.0, -2.0], [-2.0, 2.0]], [[-2.0, -2.0], [-2.0, -2.0]]
    own = gates(task_gate_row=row, task_gate_height=height)
    features, _ = encoder(TRUNK)(changed(params, "tasks", **own), stats)
    zero, one, two = (
        EXPERT.apply({"params": params["shared"][f"expert_{i}"]}, X, train=False) for i in range(3)
    )
    np.testing.assert_allclose(features["row"], 0.25 * one + 0.75 * two, atol=1e-6)
    np.testing.assert_allclose(features["height"], zero, atol=1e-6)


def test_gates_by_the_input_are_linear_in_it():
    _, params, stats = made(BY_INPUT)
    features, _ = encoder(BY_INPUT)(params, stats)
    x, own = np.asarray(X).reshape(5, -1), jax.device_get(params["tasks"]["own"])
    for task in ("row", "height"):
        gate = own[f"task_gate_{task}"]
        logits = x @ gate["logits"]["kernel"] + gate["logits"]["bias"]
        codes = np.tensordot(x, gate["codes"]["kernel"], 1) + gate["codes"]["bias"]
        assert logits.shape == (5, 2) and codes.shape == (5, 2, 2)
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        s = np.asarray(smooth_step(jnp.array(codes), 1.0))
        r = np.stack([(1 - s[..., 0]) * (1 - s[..., 1]), s[..., 0] * (1 - s[..., 1]),
                      (1 - s[..., 0]) * s[..., 1]], -1)  # fmt: skip
        weights = (shares[..., None] * r).sum(1)
        outputs = [
            EXPERT.apply({"params": params["shared"][f"expert_{i}"]}, X, train=False)
            for i in range(3)
        ]
        wanted = sum(weights[:, i, None] * np.asarray(outputs[i]) for i in range(3))
        np.testing.assert_allclose(features[task], wanted, atol=1e-5)


@pytest.mark.parametrize("trunk", [TRUNK, BY_INPUT], ids=["static_gates", "by input"])
def test_experts_are_shared_and_gates_are_the_tasks(trunk):
    experts = {"shared/expert_0", "shared/expert_1", "shared/expert_2"}
    assert moved_by(trunk, "row") == experts | {"task_gate_row"}
    assert moved_by(trunk, "height") == experts | {"task_gate_height"}


def test_codes_start_near_the_middle_and_differ():
    gate = made(nets.DSelectK(EXPERT, experts=8, num_selected=3, gamma=2.0))[1]["tasks"]["own"]
    codes = gate["task_gate_row"]["codes"]
    assert codes.shape == (3, 3) and len(np.unique(codes)) == 9
    assert 0.005 < np.abs(codes).max() <= 0.02  # gamma / 100


def params_of(*codes, experts):
    own = {f"task_gate_{i}": {"codes": jnp.array(z), "logits": jnp.zeros(len(z))}
           for i, z in enumerate(codes)}  # fmt: skip
    shared = {f"expert_{i}": {"kernel": jnp.ones(2)} for i in range(experts)}
    return {"shared": shared, "tasks": {"own": own, "heads": {}}}


def test_entropy_by_hand():
    penalty = nets.SelectorEntropy(weight=0.5, gamma=1.0)
    free, sure = [[0.0, 0.0]], [[0.5, -0.7]]
    value = jax.jit(lambda params: penalty(params, None))(params_of(free, sure, experts=4))
    np.testing.assert_allclose(value, 0.5 * np.log(4), rtol=1e-6)
    # Three of four codes: -3/4 log 1/4, and 1 / (3/4) and 1 / 1 for what they reach.
    value = penalty(params_of(free, sure, experts=3), None)
    np.testing.assert_allclose(value, 0.375 * np.log(4) + 4 / 3 + 1, rtol=1e-6)
    value = nets.SelectorEntropy(0.5, reach=0.0)(params_of(free, sure, experts=3), None)
    np.testing.assert_allclose(value, 0.375 * np.log(4), rtol=1e-6)


def pushed(penalty, codes, experts):
    """Value of the penalty on one gate, and the way down its gradient."""
    each = jax.jit(jax.value_and_grad(lambda z: penalty(params_of(z, experts=experts), None)))
    value, gradient = each(jnp.array(codes))
    return value, -gradient


def test_entropy_draws_to_the_nearest_expert():
    _, way = pushed(nets.SelectorEntropy(weight=1.0), [[0.1, -0.1]], experts=4)
    assert way[0, 0] > 0 > way[0, 1]


def test_reach_draws_away_from_a_code_without_an_expert():
    penalty = nets.SelectorEntropy(weight=0.0)
    _, way = pushed(penalty, [[0.1, 0.1]], experts=3)
    assert (way < 0).all()
    value, way = pushed(penalty, [[0.5, 0.5]], experts=3)
    assert np.isfinite(value) and value > 1e5
    np.testing.assert_array_equal(way, [[0.0, 0.0]])


def test_the_penalty_fits_the_trunk_and_is_data():
    _, params, _ = made(TRUNK)
    penalty = nets.SelectorEntropy(weight=1.0)
    assert eval(repr(penalty), dict(vars(nets))) == penalty
    grads = jax.jit(jax.grad(lambda params: penalty(params, None)))(params)
    moved = {task: (gate["codes"] != 0).any() for task, gate in grads["tasks"]["own"].items()}
    assert moved == {"task_gate_row": True, "task_gate_height": True}
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(grads["shared"]))


@pytest.mark.parametrize(
    "trunk", [nets.MLP((4,)), nets.MMoE(EXPERT), BY_INPUT], ids=lambda t: type(t).__name__
)
def test_the_penalty_needs_static_gates(trunk):
    with pytest.raises(BadInput, match="SelectorEntropy needs static gates"):
        nets.SelectorEntropy()(made(trunk)[1], None)


def test_it_convolves_if_its_experts_do():
    assert nets.DSelectK(nets.CNN()).convolutional and not nets.DSelectK().convolutional


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [({"expert": nets.DSelectK()}, "DSelectK.expert must be a trunk")],
)
def test_bad_settings_are_refused(settings, wrong):
    with pytest.raises(BadInput, match=wrong):
        nets.DSelectK(**settings)
