"""StochNorm: the mixture by hand, how it draws, whose names it has, and frozen norms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.validation import BadInput

X = jax.random.normal(jax.random.key(1), (6, 4, 4, 3))
MLP = nets.MLP((40,), batch_norm=True)
TRUNKS = [MLP, nets.WideResNet(depth=6, width=1, groups=1)]
KEY = jax.random.key(5)


@functools.cache
def shaken(trunk):
    """Variables of a trunk, drawn here: to compile its own draws would cost most of the time."""
    shapes = jax.eval_shape(functools.partial(trunk.init, train=False), jax.random.key(0), X)
    draw = np.random.default_rng(0)

    def drawn(leaf):
        return (
            draw.normal(0.0, 0.4, leaf.shape) if leaf.ndim > 1 else draw.uniform(0.3, 1, leaf.shape)
        )

    return jax.tree.map(lambda leaf: jnp.float32(drawn(leaf)), shapes)


def trained(module, variables, key=None, x=X):
    """Features and statistics of one pass in training."""
    rngs = {} if key is None else {"draw": key}

    @jax.jit
    def run(variables, x):
        return module.apply(variables, x, train=True, rngs=rngs, mutable=["batch_stats"])

    features, moved = run(variables, x)
    return np.asarray(features), moved["batch_stats"]


def branches(variables):
    """What the norm of the MLP gives by the running and by the batch's statistics."""
    params, stats = jax.device_get((variables["params"], variables["batch_stats"]["BatchNorm_0"]))
    y = np.asarray(X).reshape(6, -1) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    norm = params["BatchNorm_0"]
    for mean, var in ((stats["mean"], stats["var"]), (y.mean(0), y.var(0))):
        z = (y - mean) / np.sqrt(var + 1e-5) * norm["scale"] + norm["bias"]
        yield np.maximum(z, 0.0)


def test_every_channel_goes_by_one_or_the_other():
    variables = shaken(MLP)
    running, batch = branches(variables)
    got, _ = trained(nets.StochNorm(MLP), variables, KEY)
    by_batch = [np.allclose(*pair, atol=1e-4) for pair in zip(got.T, batch.T, strict=True)]
    by_running = [np.allclose(*pair, atol=1e-4) for pair in zip(got.T, running.T, strict=True)]
    assert 8 < sum(by_batch) < 32 and 8 < sum(by_running) < 32  # of 40 fair coins.
    assert all(np.logical_or(by_batch, by_running))
    np.testing.assert_allclose(got, np.where(by_batch, batch, running), atol=1e-4)
    other, _ = trained(nets.StochNorm(MLP), variables, jax.random.key(6))
    assert not np.allclose(got, other)


@pytest.mark.parametrize(("p", "side"), [(0.0, 0), (1.0, 1)])
def test_certain_draws(p, side):
    wanted = list(branches(shaken(MLP)))[side]
    for key in (None, KEY):
        got, _ = trained(nets.StochNorm(MLP, p=p), shaken(MLP), key)
        np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_p_is_the_share_of_the_batch():
    wide = nets.MLP((2000,), batch_norm=True)
    variables = shaken(wide)
    got, _ = trained(nets.StochNorm(wide, p=0.2), variables, KEY)
    running, batch = branches(variables)
    differ = (np.abs(running - batch) > 1e-3).any(0)
    by_batch = np.abs(got - batch).max(0) < 1e-4
    np.testing.assert_allclose(by_batch[differ].mean(), 0.2, atol=0.04)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_names_are_those_of_the_trunk_and_without_training_it_is_the_trunk(trunk):
    module, variables = nets.StochNorm(trunk), shaken(trunk)
    own = jax.eval_shape(lambda: module.init(jax.random.key(0), X, train=False))
    assert jax.tree.structure(own) == jax.tree.structure(variables)
    plain = jax.jit(functools.partial(trunk.apply, train=False))(variables, X)
    got = jax.jit(functools.partial(module.apply, train=False))(variables, X)
    np.testing.assert_array_equal(got, plain)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_all_norms_draw(trunk):
    """With p = 1 a pass is the trunk's, statistics and all; with 1/2 it is not."""
    variables = shaken(trunk)
    wanted, moved = trained(trunk, variables)
    got, stats = trained(nets.StochNorm(trunk, p=1.0), variables, KEY)
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), stats, moved)
    half, stats = trained(nets.StochNorm(trunk), variables, KEY)
    assert np.isfinite(half).all() and not np.allclose(half, wanted, atol=1e-3)
    for after, before in zip(*map(jax.tree.leaves, (stats, variables["batch_stats"])), strict=True):
        assert (after != before).all()


def test_the_batch_moves_the_statistics_once():
    variables = shaken(MLP)
    _, wanted = trained(MLP, variables)
    _, got = trained(nets.StochNorm(MLP), variables, KEY)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, wanted)


def test_channels_by_the_running_statistics_do_not_see_the_batch():
    variables, module = shaken(MLP), nets.StochNorm(MLP)
    params, stats = variables["params"], variables["batch_stats"]

    @jax.jit
    def first(shift):
        """What the first example gives when the others change."""
        x = X + jnp.where(jnp.arange(6) == 0, 0.0, shift)[:, None, None, None] * X**2
        return module.apply(
            {"params": params, "batch_stats": stats}, x, train=True,
            rngs={"draw": KEY}, mutable=["batch_stats"],
        )[0][0]  # fmt: skip

    alive = np.asarray(first(0.0)) > 0
    still = np.asarray(jax.jacfwd(first)(0.0)) == 0
    running, _ = branches(variables)
    by_running = np.abs(np.asarray(first(0.0)) - running[0]) < 1e-5
    np.testing.assert_array_equal(still[alive], by_running[alive])
    assert by_running[alive].any() and not by_running[alive].all()


def test_seeds_side_by_side():
    module, keys = nets.StochNorm(MLP), jax.random.split(KEY, 3)
    variables = shaken(MLP)

    @jax.jit
    @jax.vmap
    def rows(key):
        rngs = {"draw": key}
        return module.apply(variables, X, train=True, rngs=rngs, mutable=["batch_stats"])[0]

    for row, key in zip(rows(keys), keys, strict=True):
        np.testing.assert_allclose(row, trained(module, variables, key)[0], atol=1e-5)


@pytest.mark.parametrize("soft", [False, True])
def test_in_a_net(soft):
    trunk = nets.StochNorm(MLP)
    net = nets.make_model(nets.PerTaskTrunk(trunk) if soft else trunk, {"row": 2, "column": 3})
    params, stats = net.init(jax.random.key(0), X)

    @jax.jit
    def features(key):
        outputs, moved = net.apply(params, stats, X, train=True, key=key)
        return outputs.features["row"], moved

    one, moved = features(KEY)
    assert not np.allclose(one, features(jax.random.key(6))[0])
    assert all((a != b).any() for a, b in zip(*map(jax.tree.leaves, (moved, stats)), strict=True))


def test_a_frozen_norm_keeps_to_its_running_statistics():
    plan = (ParamRule("shared/BatchNorm_0/.*", frozen=True), ParamRule(".*"))
    net = nets.make_model(nets.StochNorm(MLP), {"row": 2}, plan)
    params, stats = net.init(jax.random.key(0), X)
    plain, _ = net.apply(params, stats, X, train=False)
    outputs, moved = net.apply(params, stats, X, train=True, key=KEY)
    np.testing.assert_array_equal(outputs.features["row"], plain.features["row"])
    jax.tree.map(np.testing.assert_array_equal, moved, stats)


def test_a_trunk_without_batch_norm_is_refused():
    trunk = nets.StochNorm(nets.MLP((4,)))
    variables = trunk.init(jax.random.key(0), X, train=False)
    with pytest.raises(BadInput, match=r"StochNorm\.trunk must have a BatchNorm.*not 'MLP'"):
        trunk.apply(variables, X, train=True)
    assert not nets.StochNorm(MLP).convolutional and nets.StochNorm(nets.CNN()).convolutional
