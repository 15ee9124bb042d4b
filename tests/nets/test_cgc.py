"""CGC: what each gate chooses from, whose parameters are whose, and bad settings."""

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from tests.nets.bodies import X, changed, encoder, made, moved_by

EXPERT = nets.MLP((4,))
TRUNK = nets.CGC(EXPERT, shared=1, task_specific=2)


def test_a_gate_chooses_from_own_experts_and_then_the_shared_ones():
    _, params, stats = made(TRUNK)
    own = params["tasks"]["own"]
    chosen = [
        own["task_expert_0_row_0"],
        own["task_expert_0_row_1"],
        params["shared"]["expert_0_0"],
    ]
    for place, expert in enumerate(chosen):
        # Inputs are positive: a large column wins the softmax for every example.
        sure = {"kernel": jnp.zeros((36, 3)).at[:, place].set(100.0)}
        features, _ = encoder(TRUNK)(changed(params, "tasks", task_gate_0_row=sure), stats)
        alone = EXPERT.apply({"params": expert}, X, train=False)
        np.testing.assert_allclose(features["row"], alone, atol=1e-6)


def test_an_indifferent_gate_takes_the_mean():
    _, params, stats = made(TRUNK)
    equal = {"kernel": jnp.zeros((36, 3))}
    features, _ = encoder(TRUNK)(changed(params, "tasks", task_gate_0_height=equal), stats)
    own = params["tasks"]["own"]
    experts = [own["task_expert_0_height_0"], own["task_expert_0_height_1"]]
    outputs = [
        EXPERT.apply({"params": expert}, X, train=False)
        for expert in [*experts, params["shared"]["expert_0_0"]]
    ]
    np.testing.assert_allclose(features["height"], sum(outputs) / 3, atol=1e-6)


def test_a_task_moves_the_shared_expert_and_its_own():
    for task in ("row", "height"):
        own = {f"task_expert_0_{task}_0", f"task_expert_0_{task}_1", f"task_gate_0_{task}"}
        assert moved_by(TRUNK, task) == own | {"shared/expert_0_0"}


def test_it_convolves_if_its_experts_do():
    assert nets.CGC(nets.CNN()).convolutional and not nets.CGC().convolutional


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [({"expert": nets.CGC()}, "CGC.expert must be a trunk")],
)
def test_bad_settings_are_refused(settings, wrong):
    with pytest.raises(BadInput, match=wrong):
        nets.CGC(**settings)
