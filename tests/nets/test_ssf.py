"""SSF: an exact start, every kind of layer by hand, layers without bias, what is refused."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.tree import leaf_paths
from mtl_jax.core.validation import BadInput

X = jax.random.normal(jax.random.key(1), (5, 4, 4, 3))
TRUNK = nets.MLP((6,), batch_norm=True)
RANDOM = np.random.default_rng(0)


def drawn(trunk):
    return jax.jit(lambda: trunk.init(jax.random.key(0), X, train=False))()


def moved(extra):
    """New parameters as training might leave them."""
    return jax.tree.map(lambda leaf: np.float32(RANDOM.normal(size=leaf.shape)), extra)


def shaken(variables):
    """Parameters and statistics none of which is 0 or 1."""
    return jax.tree.map(
        lambda leaf: np.float32(np.abs(leaf + RANDOM.uniform(0.1, 0.5, leaf.shape))), variables
    )


def test_it_starts_exactly_as_the_trunk(variant):
    params, ssf = drawn(TRUNK)["params"], nets.SSF(TRUNK)
    extra = variant(ssf.init_params)(jax.random.key(2), params)
    assert leaf_paths(extra) == [
        "BatchNorm_0/beta", "BatchNorm_0/gamma", "Dense_0/beta", "Dense_0/gamma"
    ]  # fmt: skip
    merged = variant(ssf.merge)(params, extra)
    jax.tree.map(np.testing.assert_array_equal, merged, params)


def test_a_dense_layer_and_a_norm_by_hand():
    variables, ssf = shaken(drawn(TRUNK)), nets.SSF(TRUNK)
    params, stats = variables["params"], variables["batch_stats"]["BatchNorm_0"]
    extra = moved(ssf.init_params(jax.random.key(2), params))
    merged = {**variables, "params": ssf.merge(params, extra)}
    y = np.asarray(X).reshape(5, -1) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    y = extra["Dense_0"]["gamma"] * y + extra["Dense_0"]["beta"]
    norm = params["BatchNorm_0"]
    y = (y - stats["mean"]) / np.sqrt(stats["var"] + 1e-5) * norm["scale"] + norm["bias"]
    y = extra["BatchNorm_0"]["gamma"] * y + extra["BatchNorm_0"]["beta"]
    got = TRUNK.apply(merged, X, train=False)
    np.testing.assert_allclose(got, np.maximum(y, 0.0), rtol=1e-4, atol=1e-4)


def test_a_convolution_without_bias_is_only_scaled():
    trunk = nets.CNN((5,))
    variables, ssf = shaken(drawn(trunk)), nets.SSF(trunk, layers="Conv_.*")
    extra = moved(ssf.init_params(jax.random.key(2), variables["params"]))
    assert leaf_paths(extra) == ["Conv_0/gamma"]
    kernel = ssf.merge(variables["params"], extra)["Conv_0"]["kernel"]

    def convolved(kernel):
        return nn.Conv(5, (3, 3), use_bias=False).apply({"params": {"kernel": kernel}}, X)

    wanted = extra["Conv_0"]["gamma"] * np.asarray(
        convolved(variables["params"]["Conv_0"]["kernel"])
    )
    np.testing.assert_allclose(convolved(kernel), wanted, rtol=1e-4, atol=1e-4)


class Tokens(nn.Module):
    """Attention between the rows of an image, and a norm without bias."""

    convolutional = False

    @nn.compact
    def __call__(self, x, *, train):
        tokens = x.reshape(len(x), 4, -1)
        place = self.param("place", nn.initializers.ones, (12,))
        y = nn.MultiHeadDotProductAttention(2, qkv_features=6)(tokens + place[None, None])
        return nn.LayerNorm(use_bias=False)(y).mean(1)


def test_attention():
    params, ssf = drawn(Tokens())["params"], nets.SSF(Tokens())
    extra = moved(ssf.init_params(jax.random.key(2), params))
    (name,) = extra.keys() - {"LayerNorm_0"}
    assert extra["LayerNorm_0"].keys() == {"gamma"}
    shapes = {layer: part["gamma"].shape for layer, part in extra[name].items()}
    assert shapes == {"query": (2, 3), "key": (2, 3), "value": (2, 3), "out": (12,)}
    merged = ssf.merge(params, extra)
    tokens = np.asarray(X).reshape(5, 4, -1)
    for layer, part in extra[name].items():
        inputs = tokens if layer != "out" else tokens.reshape(5, 4, 2, 6)[..., :3]
        by = "ntd,dhe->nthe" if layer != "out" else "nthe,hed->ntd"
        before, after = (
            np.einsum(by, inputs, np.asarray(tree[name][layer]["kernel"]))
            + np.asarray(tree[name][layer]["bias"])
            for tree in (params, merged)
        )
        wanted = part["gamma"] * before + part["beta"]
        np.testing.assert_allclose(after, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(merged["place"], params["place"])


def test_what_has_a_gradient_at_the_start():
    """The norm behind it takes the scale of a layer out again, when it goes by the batch."""
    variables, ssf = drawn(TRUNK), nets.SSF(TRUNK)
    extra = ssf.init_params(jax.random.key(2), variables["params"])
    weights = jax.random.normal(jax.random.key(3), (5, 6))

    def total(extra, train):
        merged = {**variables, "params": ssf.merge(variables["params"], extra)}
        y, _ = TRUNK.apply(merged, X, train=train, mutable=["batch_stats"])
        return (weights * y).sum()

    running, batch = (jax.jit(jax.grad(total), static_argnums=1)(extra, t) for t in (False, True))
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(running))
    gone, there = batch["Dense_0"]["gamma"], batch["BatchNorm_0"]["gamma"]
    assert jnp.abs(gone).max() < 1e-3 * jnp.abs(there).max()


def test_noise_is_around_the_start():
    params = {"one": {"kernel": jnp.zeros((2, 4000)), "bias": jnp.zeros(4000)}}
    new = nets.SSF(TRUNK, noise=0.02).init_params(jax.random.key(0), params)["one"]
    for name, mean in (("gamma", 1.0), ("beta", 0.0)):
        np.testing.assert_allclose(new[name].mean(), mean, atol=2e-3)
        np.testing.assert_allclose(new[name].std(), 0.02, rtol=0.05)
    assert not np.allclose(new["gamma"] - 1.0, new["beta"], atol=1e-3)


def test_seeds_side_by_side():
    keys, ssf = jax.random.split(jax.random.key(0), 3), nets.SSF(TRUNK, noise=0.1)
    params = jax.vmap(lambda key: TRUNK.init(key, X, train=False)["params"])(keys)
    extra = jax.vmap(ssf.init_params)(keys, params)
    merged = jax.jit(jax.vmap(ssf.merge))(params, extra)
    second = jax.tree.map(lambda leaf: leaf[1], (params, extra, merged))
    wanted = ssf.merge(*second[:2])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), second[2], wanted)
    assert not np.allclose(extra["Dense_0"]["beta"][0], extra["Dense_0"]["beta"][1])


def test_half_precision_stays():
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), drawn(TRUNK)["params"])
    ssf = nets.SSF(TRUNK, noise=0.02)
    extra = ssf.init_params(jax.random.key(0), params)
    for leaf in jax.tree.leaves((extra, ssf.merge(params, extra))):
        assert leaf.dtype == jnp.bfloat16


def test_it_convolves_if_its_trunk_does():
    assert nets.SSF(nets.CNN()).convolutional and not nets.SSF(TRUNK).convolutional


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"trunk": nets.Adapters()}, r"SSF\.trunk must be a trunk"),
        ({"layers": "("}, r"SSF\.layers must be a regular expression, not '\('"),
    ],
)
def test_bad_settings_are_refused(settings, wrong):
    with pytest.raises(BadInput, match=wrong):
        nets.SSF(**{"trunk": TRUNK, **settings})


def test_what_does_not_fit_is_refused():
    params, key = drawn(TRUNK)["params"], jax.random.key(0)
    with pytest.raises(BadInput, match=r"SSF\.layers 'Dense_1' matches none: .*Dense_0"):
        nets.SSF(TRUNK, layers="Dense_1").init_params(key, params)
    extra = nets.SSF(TRUNK).init_params(key, params)
    with pytest.raises(BadInput, match=r"SSF\.merge: the trunk has no BatchNorm_0"):
        nets.SSF(TRUNK).merge({"Dense_0": params["Dense_0"]}, extra)
