"""Adapters: they start as the trunk, learn from there, and belong to their tasks."""

import jax
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from tests.nets.bodies import X, changed, encoder, made, moved_by

INNER = nets.MLP((4,), batch_norm=True)
TRUNK = nets.Adapters(INNER, width=3)


def inside(params, stats):
    variables = {"params": params["shared"]["trunk"], "batch_stats": stats["trunk"]}
    return np.asarray(INNER.apply(variables, X, train=False))


def test_tasks_start_with_the_features_of_the_trunk():
    _, params, stats = made(TRUNK)
    features, _ = encoder(TRUNK)(params, stats)
    for task in ("row", "height"):
        np.testing.assert_array_equal(features[task], inside(params, stats))


def test_the_bottleneck_by_hand():
    _, params, stats = made(TRUNK)
    draw = np.random.default_rng(0)
    down = {"kernel": draw.normal(size=(4, 3)).astype("f"), "bias": np.ones(3, "f")}
    up = {"kernel": draw.normal(size=(3, 4)).astype("f"), "bias": np.full(4, 2.0, "f")}
    own = changed(params, "tasks", task_down_row=down, task_up_row=up)
    features, _ = encoder(TRUNK)(own, stats)
    h = inside(params, stats)
    wanted = h + np.maximum(h @ down["kernel"] + 1.0, 0.0) @ up["kernel"] + 2.0
    np.testing.assert_allclose(features["row"], wanted, atol=1e-5)
    np.testing.assert_array_equal(features["height"], h)


def test_only_a_tasks_own_way_up_learns_at_first():
    # The way down has no gradient while the way up is 0; the other one starts it.
    assert moved_by(TRUNK, "row") == {"shared/trunk", "task_up_row"}
    assert moved_by(TRUNK, "height") == {"shared/trunk", "task_up_height"}
    own = made(TRUNK)[1]["tasks"]["own"]
    assert own.keys() == {f"task_{way}_{task}" for way in ("down", "up") for task in
                          ("row", "height")}  # fmt: skip
    assert (own["task_down_row"]["kernel"] != 0).all()
    assert (own["task_up_row"]["kernel"] == 0).all()


def test_only_training_moves_statistics():
    _, params, stats = made(TRUNK)
    jax.tree.map(np.testing.assert_array_equal, encoder(TRUNK)(params, stats)[1], stats)
    _, after = encoder(TRUNK, train=True)(params, stats)
    assert not np.allclose(
        after["trunk"]["BatchNorm_0"]["mean"], stats["trunk"]["BatchNorm_0"]["mean"]
    )


def test_it_convolves_if_its_trunk_does():
    assert nets.Adapters(nets.CNN()).convolutional and not nets.Adapters().convolutional


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"trunk": nets.PerTaskTrunk(INNER)}, r"Adapters\.trunk must be a trunk"),
    ],
)
def test_bad_settings_are_refused(settings, wrong):
    with pytest.raises(BadInput, match=wrong):
        nets.Adapters(**settings)
