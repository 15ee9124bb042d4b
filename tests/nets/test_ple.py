"""PLE: one level is CGC, two by hand, which parameters other tasks read, and bad settings."""

import jax
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from tests.nets.bodies import X, encoder, made, moved_by

EXPERT = nets.MLP((8,))
TRUNK = nets.PLE(EXPERT, deeper_expert=(6,), shared=1, task_specific=1)


def test_one_level_is_cgc():
    settings = {"shared": 2, "task_specific": 1}
    alone, cgc = nets.PLE(EXPERT, deeper_expert=(), **settings), nets.CGC(EXPERT, **settings)
    _, params, stats = made(alone)
    jax.tree.map(np.testing.assert_array_equal, params, made(cgc)[1])
    features, _ = encoder(alone)(params, stats)
    wanted, _ = encoder(cgc)(params, stats)
    jax.tree.map(np.testing.assert_array_equal, features, wanted)


def softmax(scores):
    raised = np.exp(scores)
    return raised / raised.sum(1, keepdims=True)


def test_two_levels_by_hand():
    _, params, stats = made(TRUNK)
    p = jax.device_get({**params["shared"], **params["tasks"]["own"]})

    def expert(name, x):
        return np.maximum(x @ p[name]["Dense_0"]["kernel"] + p[name]["Dense_0"]["bias"], 0.0)

    def mix(name, x, outputs):
        weights = softmax(x @ p[name]["kernel"])
        return sum(weights[:, i, None] * output for i, output in enumerate(outputs))

    x = np.asarray(X).reshape(5, -1)
    row, height, both = (expert(f"expert_0_{name}", x) for name in ("row_0", "height_0", "0"))
    common = mix("gate_0", x, [row, height, both])
    again = expert("expert_1_0", common)
    features, _ = encoder(TRUNK)(params, stats)
    for task, own in (("row", row), ("height", height)):
        between = mix(f"task_gate_0_{task}", x, [own, both])
        last = [expert(f"task_expert_1_{task}_0", between), again]
        wanted = mix(f"task_gate_1_{task}", between, last)
        np.testing.assert_allclose(features[task], wanted, atol=1e-5)


def test_other_tasks_read_the_lower_experts_but_nothing_of_a_tasks_own():
    shared = {"expert_0_0", "expert_0_row_0", "expert_0_height_0", "gate_0", "expert_1_0"}
    for task in ("row", "height"):
        own = {f"task_expert_1_{task}_0", f"task_gate_0_{task}", f"task_gate_1_{task}"}
        assert moved_by(TRUNK, task) == own | {f"shared/{name}" for name in shared}


def test_of_three_levels_other_tasks_read_the_lowest_gates_too():
    trunk = nets.PLE(EXPERT, deeper_expert=(8, 6), shared=1, task_specific=1)
    own = {"task_expert_2_row_0", "task_gate_1_row", "task_gate_2_row"}
    moved = moved_by(trunk, "row")
    assert {name for name in moved if name.startswith("task")} == own
    assert {"shared/gate_0_row", "shared/gate_0_height", "shared/expert_1_height_0"} <= moved
    assert moved == own | {f"shared/{name}" for name in made(trunk)[1]["shared"]}


def test_it_convolves_if_its_experts_do():
    assert nets.PLE(nets.CNN()).convolutional and not nets.PLE().convolutional


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"expert": nets.PLE()}, "PLE.expert must be a trunk"),
        ({"deeper_expert": (8, 0)}, "PLE.deeper_expert must be a tuple"),
    ],
)
def test_bad_settings_are_refused(settings, wrong):
    with pytest.raises(BadInput, match=wrong):
        nets.PLE(**settings)
