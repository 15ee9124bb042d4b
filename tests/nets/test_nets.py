"""Nets: shapes, where gradients go, when statistics move, and one trunk a task."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.tree import leaf_paths
from mtl_jax.core.validation import BadInput

X = jax.random.uniform(jax.random.key(1), (5, 6, 6, 1))
HEADS = {"row": 3, "height": 1}
TRUNKS = {
    "mlp": nets.MLP((8, 4)),
    "mlp with norm": nets.MLP((8, 4), batch_norm=True),
    "cnn": nets.CNN((3, 4)),
    "cnn without norm": nets.CNN((3, 4), batch_norm=False),
    "soft": nets.PerTaskTrunk(nets.MLP((8, 4), batch_norm=True)),
}
every = pytest.mark.parametrize("name", TRUNKS)


@functools.cache
def made(name):
    """The net, and its parameters and statistics after `init`."""
    net = nets.make_model(TRUNKS[name], HEADS)
    return net, *jax.jit(net.init)(jax.random.key(0), X)


@functools.cache
def applied(name, train):
    net, params, stats = made(name)
    return jax.jit(functools.partial(net.apply, train=train))(params, stats, X)


@every
def test_shapes(name):
    outputs, _ = applied(name, False)
    assert {task: logits.shape for task, logits in outputs.logits.items()} == {
        "row": (5, 3), "height": (5, 1)
    }  # fmt: skip
    assert [each.shape for each in outputs.features.values()] == [(5, 4), (5, 4)]
    assert {each.dtype for each in outputs.features.values()} == {jnp.dtype("float32")}


@every
def test_heads_are_linear_in_the_features(name):
    _, params, _ = made(name)
    outputs, _ = applied(name, False)
    for task in HEADS:
        inputs = outputs.features[task]
        logits, head = jax.device_get((outputs.logits[task], params["tasks"]["heads"][task]))
        np.testing.assert_allclose(
            logits, np.asarray(inputs) @ head["kernel"] + head["bias"], atol=1e-5
        )


@every
def test_only_training_moves_statistics(name):
    _, _, stats = made(name)
    _, after = applied(name, False)
    jax.tree.map(np.testing.assert_array_equal, after, stats)
    _, after = applied(name, True)
    moved = [
        not np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (after, stats)), strict=True)
    ]
    assert all(moved) and bool(moved) == (name in ("mlp with norm", "cnn", "soft"))


@every
def test_a_task_leaves_the_other_head_alone(name):
    net, params, stats = made(name)

    def row(params):
        return jnp.square(net.apply(params, stats, X, train=True)[0].logits["row"]).sum()

    grads = jax.jit(jax.grad(row))(params)
    heads = grads["tasks"]["heads"]
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(heads["height"]))
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(heads["row"]))
    if name == "soft":
        for leaf in jax.tree.leaves(grads["tasks"]["trunk"]):
            assert (leaf[1] == 0).all()
        assert (grads["tasks"]["trunk"]["Dense_0"]["kernel"][0] != 0).any()
    else:
        assert (grads["shared"][leaf_paths(grads["shared"])[-1].split("/")[0]]["kernel"] != 0).any()


def test_soft_trunks_lie_on_a_leading_axis_and_differ():
    _, params, stats = made("soft")
    assert params["shared"] == {} and params["tasks"].keys() == {"trunk", "heads"}
    kernel = params["tasks"]["trunk"]["Dense_0"]["kernel"]
    assert kernel.shape == (2, 36, 8)
    assert not np.allclose(kernel[0], kernel[1])
    assert {leaf.shape[0] for leaf in jax.tree.leaves(stats)} == {2}


def test_each_soft_trunk_feeds_its_own_head():
    net, params, stats = made("soft")
    trunk = jax.tree.map(lambda leaf: leaf.at[1].set(0.0), params["tasks"]["trunk"])
    changed = {"shared": {}, "tasks": {**params["tasks"], "trunk": trunk}}
    outputs, _ = jax.jit(functools.partial(net.apply, train=False))(changed, stats, X)
    before, _ = applied("soft", False)
    np.testing.assert_array_equal(outputs.logits["row"], before.logits["row"])
    assert not np.allclose(outputs.logits["height"], before.logits["height"])


def test_shared_trunks_have_the_parameters_they_say():
    assert leaf_paths(made("mlp")[1]["shared"]) == [
        f"Dense_{layer}/{leaf}" for layer in (0, 1) for leaf in ("bias", "kernel")
    ]
    shared = made("cnn")[1]["shared"]
    assert leaf_paths(shared) == [
        "BatchNorm_0/bias", "BatchNorm_0/scale", "BatchNorm_1/bias", "BatchNorm_1/scale",
        "Conv_0/kernel", "Conv_1/kernel",
    ]  # fmt: skip
    assert made("mlp")[1]["tasks"].keys() == {"heads"}
    assert shared["Conv_1"]["kernel"].shape == (3, 3, 3, 4)
    assert "bias" in made("cnn without norm")[1]["shared"]["Conv_0"]


def test_mlp_by_hand():
    _, params, _ = made("mlp")
    x = np.asarray(X).reshape(5, -1)
    for layer in ("Dense_0", "Dense_1"):
        one = jax.device_get(params["shared"][layer])
        x = np.maximum(x @ one["kernel"] + one["bias"], 0.0)
    np.testing.assert_allclose(applied("mlp", False)[0].features["row"], x, atol=1e-5)


def test_norm_uses_the_batch_in_training_and_the_average_else():
    _, params, stats = made("mlp with norm")
    inner = np.asarray(X).reshape(5, -1) @ params["shared"]["Dense_0"]["kernel"]
    _, after = applied("mlp with norm", True)
    np.testing.assert_allclose(stats["BatchNorm_0"]["mean"], 0.0)
    np.testing.assert_allclose(after["BatchNorm_0"]["mean"], 0.1 * inner.mean(0), atol=1e-6)
    np.testing.assert_allclose(after["BatchNorm_0"]["var"], 0.9 + 0.1 * inner.var(0), atol=1e-5)


def test_a_pattern_holds_one_norm_in_training():
    _, params, stats = made("mlp with norm")
    net = nets.make_model(
        TRUNKS["mlp with norm"], HEADS, (ParamRule("shared/BatchNorm_0/.*", frozen=True),)
    )
    _, after = jax.jit(functools.partial(net.apply, train=True))(params, stats, X)
    jax.tree.map(np.testing.assert_array_equal, after["BatchNorm_0"], stats["BatchNorm_0"])
    assert not np.allclose(after["BatchNorm_1"]["mean"], stats["BatchNorm_1"]["mean"])


def test_keys_make_other_parameters():
    net, params, _ = made("mlp")
    other, _ = jax.jit(net.init)(jax.random.key(9), X)
    kernels = [p["shared"]["Dense_0"]["kernel"] for p in (params, other)]
    assert not np.allclose(*kernels)
    np.testing.assert_allclose(np.std(kernels[0]), np.sqrt(2 / 36), rtol=0.15)  # He, Eq. 10.


def test_whether_a_trunk_convolves():
    assert nets.CNN().convolutional and nets.PerTaskTrunk(nets.CNN()).convolutional
    assert not nets.MLP().convolutional and not nets.PerTaskTrunk(nets.MLP()).convolutional


@pytest.mark.parametrize("make", [nets.MLP, nets.CNN])
@pytest.mark.parametrize("features", [(), (8, 0), (8.0,), 8])
def test_widths_that_are_none_are_refused(make, features):
    with pytest.raises(BadInput, match=rf"{make.__name__}.features must be a tuple"):
        make(features)
