"""update_bn: statistics of one batch and of several by hand, and of nets that are averaged."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import uniform_soup, update_bn

X = jax.random.normal(jax.random.key(1), (3, 8, 4, 4, 2)) * 2.0 + 0.5
MLP = nets.make_model(nets.MLP((6, 5), batch_norm=True), {"row": 2})
WIDE = nets.make_model(nets.WideResNet(depth=6, width=1, groups=1), {"row": 2})  # momentum 0.999
found = jax.jit(update_bn, static_argnums=0)


def drawn(net, seed=0):
    return jax.jit(net.init)(jax.random.key(seed), X[0])


def inside(params, x):
    """Mean and variance of what the norms of the MLP read."""
    x = np.asarray(x).reshape(len(x), -1)
    for depth in (0, 1):
        layer, norm = (jax.device_get(params["shared"][f"{name}_{depth}"])
                       for name in ("Dense", "BatchNorm"))  # fmt: skip
        x = x @ layer["kernel"] + layer["bias"]
        yield {"mean": x.mean(0), "var": x.var(0)}
        x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * norm["scale"] + norm["bias"]
        x = np.maximum(x, 0.0)


def test_one_batch_is_its_statistics():
    params, stats = drawn(MLP)
    got = found(MLP, params, stats, X[:1])
    assert jax.tree.structure(got) == jax.tree.structure(stats)
    for depth, wanted in enumerate(inside(params, X[0])):
        for name in ("mean", "var"):
            leaf = got[f"BatchNorm_{depth}"][name]
            np.testing.assert_allclose(leaf, wanted[name], rtol=1e-5, atol=1e-6)


def test_every_batch_counts_alike():
    params, stats = drawn(MLP)
    got = found(MLP, params, stats, X)
    each = [list(inside(params, x)) for x in X]
    for depth in (0, 1):
        for name in ("mean", "var"):
            wanted = np.mean([one[depth][name] for one in each], 0)
            leaf = got[f"BatchNorm_{depth}"][name]
            np.testing.assert_allclose(leaf, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("net", [MLP, WIDE], ids=["0.9", "0.999"])
def test_what_was_given_does_not_count_and_batches_stay_as_they_are(net):
    params, stats = drawn(net)
    got = found(net, params, stats, X[:1])
    again = found(net, params, jax.tree.map(lambda leaf: leaf + 7.0, stats), X[:1])
    jax.tree.map(np.testing.assert_array_equal, again, got)
    # Statistics that are those of the batch stay where the batch comes again.
    _, still = jax.jit(lambda: net.apply(params, got, X[0], train=True))()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), still, got)
    # On them the net gives what it gave by the batch.
    batch, _ = jax.jit(lambda: net.apply(params, stats, X[0], train=True))()
    running, _ = jax.jit(lambda: net.apply(params, got, X[0], train=False))()
    np.testing.assert_allclose(running.features["row"], batch.features["row"], rtol=1e-3, atol=1e-4)


class Moving:
    """A net of one norm by hand, of any momentum."""

    def __init__(self, momentum):
        self.momentum = momentum

    def encode(self, params, stats, x, *, train, key):
        mean = x.reshape(-1, x.shape[-1]).mean(0)
        m = self.momentum
        moved = m * stats["norm"]["mean"] + (1 - m) * mean
        return x, {"norm": {"mean": moved}, "steps": stats["steps"] + 1}


@pytest.mark.parametrize(
    ("momentum", "rtol"),
    [(0.0, 1e-6), (0.9, 1e-6), (0.99, 1e-6), (0.9997, 1e-6), (1 - 2**-10, 1e-6), (0.9987654, 6e-5)],
)
def test_any_momentum(momentum, rtol):
    stats = {"norm": {"mean": jnp.full(2, 3.0)}, "steps": jnp.int32(4)}
    params = {"shared": {}, "tasks": {}}
    got = update_bn(Moving(momentum), params, stats, 100.0 + X)
    wanted = np.asarray(100.0 + X).reshape(3, -1, 2).mean(1).mean(0)
    np.testing.assert_allclose(got["norm"]["mean"], wanted, rtol=rtol)
    assert got["steps"] == 4


def test_a_soup_of_two_nets():
    (one, stats), (two, _) = drawn(WIDE), drawn(WIDE, seed=1)
    soup = uniform_soup([one, two])
    before = jax.tree.map(np.array, soup)
    new = found(WIDE, soup, stats, X)
    of_one = found(WIDE, one, stats, X)
    jax.tree.map(np.testing.assert_array_equal, soup, before)
    for a, b in zip(*map(jax.tree.leaves, (new, stats)), strict=True):
        assert np.isfinite(a).all() and a.dtype == b.dtype
    stem = [tree["stage1"]["block0"]["BatchNorm_0"]["mean"] for tree in (new, of_one, stats)]
    assert not np.allclose(stem[0], stem[1], atol=1e-3)
    assert not np.allclose(stem[0], stem[2], atol=1e-3)


def test_a_frozen_norm_keeps_what_was_given():
    plan = (ParamRule("shared/BatchNorm_0/.*", frozen=True), ParamRule(".*"))
    net = nets.make_model(nets.MLP((6, 5), batch_norm=True), {"row": 2}, plan)
    params, stats = drawn(net)
    given = jax.tree.map(lambda leaf: leaf + 0.25, stats)
    got = found(net, params, given, X)
    jax.tree.map(np.testing.assert_array_equal, got["BatchNorm_0"], given["BatchNorm_0"])
    assert (got["BatchNorm_1"]["mean"] != given["BatchNorm_1"]["mean"]).all()


def test_seeds_side_by_side_and_one_trunk_a_task():
    net = nets.make_model(
        nets.PerTaskTrunk(nets.MLP((6,), batch_norm=True)), {"row": 2, "column": 3}
    )
    each = [drawn(net, seed) for seed in (0, 1)]
    params, stats = jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)
    got = jax.jit(jax.vmap(lambda p, s: update_bn(net, p, s, X)))(params, stats)
    wanted = found(net, *each[1], X)
    assert wanted["BatchNorm_0"]["mean"].shape == (2, 6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-4), got, wanted)


def test_nets_that_draw_take_a_key():
    net = nets.make_model(nets.AdaShare(nets.MLP((4, 4), batch_norm=True)), {"row": 2, "column": 3})
    params, stats = drawn(net)
    got = found(net, params, stats, X, jax.random.key(2))
    assert got["steps"] == stats["steps"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(got))


def test_what_cannot_be_is_refused():
    params, stats = drawn(MLP)
    with pytest.raises(BadInput, match="at least one batch"):
        update_bn(MLP, params, stats, X[:0])
    plain = nets.make_model(nets.MLP((4,)), {"row": 2})
    with pytest.raises(BadInput, match="a net with BatchNorm"):
        update_bn(plain, *drawn(plain), X)
