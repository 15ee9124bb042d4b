"""LoRA: an exact start, which way gradients go, kernels of every kind by hand, what is refused."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.tree import leaf_paths
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.peft.lora import matrix_shape

X = jax.random.normal(jax.random.key(1), (5, 4, 4, 3))
TRUNK = nets.MLP((6, 4))
LORA = nets.LoRA(TRUNK, rank=2, alpha=3.0)
RANDOM = np.random.default_rng(0)


def drawn(trunk, x=X):
    return jax.jit(lambda: trunk.init(jax.random.key(0), x, train=False)["params"])()


def moved(extra):
    """New parameters as training might leave them."""
    return jax.tree.map(lambda leaf: jnp.float32(RANDOM.normal(size=leaf.shape)), extra)


def run(trunk, params, x=X):
    return trunk.apply({"params": params}, x, train=False)


def test_it_starts_exactly_as_the_trunk(variant):
    params = drawn(TRUNK)
    extra = variant(LORA.init_params)(jax.random.key(2), params)
    merged = variant(LORA.merge)(params, extra)
    jax.tree.map(np.testing.assert_array_equal, merged, params)
    assert leaf_paths(extra) == [f"Dense_{i}/kernel/{part}" for i in (0, 1) for part in "ab"]
    assert extra["Dense_0"]["kernel"]["a"].shape == (48, 2)
    assert extra["Dense_0"]["kernel"]["b"].shape == (2, 6)


def test_dense_layers_by_hand():
    params = drawn(TRUNK)
    extra = moved(LORA.init_params(jax.random.key(2), params))
    h = np.asarray(X).reshape(5, -1)
    for name in ("Dense_0", "Dense_1"):
        one, more = jax.device_get((params[name], extra[name]["kernel"]))
        # By hand: the thin way beside the layer, times 3 / 2.
        h = h @ one["kernel"] + 1.5 * (h @ more["a"]) @ more["b"] + one["bias"]
        h = np.maximum(h, 0.0)
    np.testing.assert_allclose(run(TRUNK, LORA.merge(params, extra)), h, rtol=1e-3, atol=1e-3)


def test_a_convolution_is_one_to_few_channels_and_a_pointwise_one():
    trunk = nets.CNN((5,), batch_norm=False)
    lora, params = nets.LoRA(trunk, rank=2), drawn(trunk)
    extra = moved(lora.init_params(jax.random.key(2), params))
    thin = extra["Conv_0"]["kernel"]
    down = nn.Conv(2, (3, 3), use_bias=False).apply(
        {"params": {"kernel": thin["a"].reshape(3, 3, 3, 2)}}, X
    )
    way = nn.Conv(5, (3, 3)).apply({"params": params["Conv_0"]}, X) + 4.0 * down @ thin["b"]
    wanted = nn.relu(way).mean((1, 2))
    np.testing.assert_allclose(run(trunk, lora.merge(params, extra)), wanted, rtol=1e-4, atol=1e-4)


class Tokens(nn.Module):
    """Attention between the rows of an image."""

    convolutional = False

    @nn.compact
    def __call__(self, x, *, train):
        tokens = x.reshape(len(x), 4, -1)
        return nn.MultiHeadDotProductAttention(2, qkv_features=6)(tokens).mean(1)


def test_attention():
    params = drawn(Tokens())
    lora = nets.LoRA(Tokens(), rank=2, alpha=1.0, kernels=".*/(query|out)/kernel")
    extra = moved(lora.init_params(jax.random.key(2), params))
    (whole,) = extra.values()
    assert whole.keys() == {"query", "out"}
    merged = lora.merge(params, extra)["MultiHeadDotProductAttention_0"]
    before = params["MultiHeadDotProductAttention_0"]
    query, out = (whole[name]["kernel"] for name in ("query", "out"))
    wanted = np.einsum("ir,rhd->ihd", query["a"], query["b"].reshape(2, 2, 3)) / 2
    change = merged["query"]["kernel"] - before["query"]["kernel"]
    np.testing.assert_allclose(change, wanted, rtol=1e-4, atol=1e-5)
    wanted = np.einsum("hdr,ro->hdo", out["a"].reshape(2, 3, 2), out["b"]) / 2
    change = merged["out"]["kernel"] - before["out"]["kernel"]
    np.testing.assert_allclose(change, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(merged["key"]["kernel"], before["key"]["kernel"])


@pytest.mark.parametrize(
    ("name", "shape", "wanted"),
    [
        ("Dense_0/kernel", (7, 5), (7, 5)),
        ("stage0/kernel", (3, 7, 5), (21, 5)),
        ("block0/attention/value/kernel", (8, 2, 4), (8, 8)),
        ("keys/kernel", (8, 2, 3), (8, 6)),
        ("block0/attention/out/kernel", (2, 4, 8), (8, 8)),
        ("monkey/kernel", (2, 4, 8), (8, 8)),
    ],
)
def test_sides(name, shape, wanted):
    assert matrix_shape(name, jnp.zeros(shape)) == wanted  # by hand


def test_only_b_learns_at_first():
    params = drawn(TRUNK)
    extra = LORA.init_params(jax.random.key(2), params)

    @jax.jit
    @jax.grad
    def grads(extra):
        return jnp.square(run(TRUNK, LORA.merge(params, extra))).sum()

    for layer in grads(extra).values():
        assert (layer["kernel"]["a"] == 0).all() and (layer["kernel"]["b"] != 0).any()
    for layer in grads(moved(extra)).values():
        assert (layer["kernel"]["a"] != 0).any() and (layer["kernel"]["b"] != 0).any()


def test_a_kernel_draws_by_its_path_with_variance_one_over_its_inputs():
    params = {name: {"kernel": jnp.zeros((400, 300))} for name in ("Dense_0", "Dense_1")}
    both = nets.LoRA(TRUNK).init_params(jax.random.key(0), params)
    alone = nets.LoRA(TRUNK, kernels="Dense_0/.*").init_params(jax.random.key(0), params)
    assert alone.keys() == {"Dense_0"}
    a, other = (both[name]["kernel"]["a"] for name in ("Dense_0", "Dense_1"))
    np.testing.assert_array_equal(alone["Dense_0"]["kernel"]["a"], a)
    np.testing.assert_allclose(a.std(), 0.05, rtol=0.05)  # by hand: 1 / sqrt(400)
    assert not np.allclose(a, other, atol=1e-3)


def test_seeds_side_by_side():
    keys = jax.random.split(jax.random.key(0), 3)
    params = jax.vmap(lambda key: TRUNK.init(key, X, train=False)["params"])(keys)
    extra = jax.vmap(LORA.init_params)(keys, params)
    assert not np.allclose(extra["Dense_0"]["kernel"]["a"][0], extra["Dense_0"]["kernel"]["a"][1])
    extra = moved(extra)
    merged = jax.jit(jax.vmap(LORA.merge))(params, extra)
    second = jax.tree.map(lambda leaf: leaf[1], (params, extra, merged))
    wanted = LORA.merge(*second[:2])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), second[2], wanted)


def test_half_precision_stays():
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), drawn(TRUNK))
    extra = LORA.init_params(jax.random.key(0), params)
    for leaf in jax.tree.leaves((extra, LORA.merge(params, extra))):
        assert leaf.dtype == jnp.bfloat16


def test_it_convolves_if_its_trunk_does():
    assert nets.LoRA(nets.CNN()).convolutional and not LORA.convolutional


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"trunk": nets.PerTaskTrunk(TRUNK)}, r"LoRA\.trunk must be a trunk"),
        ({"kernels": "("}, r"LoRA\.kernels must be a regular expression, not '\('"),
    ],
)
def test_bad_settings_are_refused(settings, wrong):
    with pytest.raises(BadInput, match=wrong):
        nets.LoRA(**{"trunk": TRUNK, **settings})


def test_what_does_not_fit_is_refused():
    params, key = drawn(TRUNK), jax.random.key(0)
    with pytest.raises(BadInput, match=r"matches no parameter: .*Dense_1/kernel"):
        nets.LoRA(TRUNK, kernels="Dense_2/kernel").init_params(key, params)
    with pytest.raises(BadInput, match=r"LoRA\.rank must .* Dense_1/kernel \(6, 4\), not 5"):
        nets.LoRA(TRUNK, rank=5).init_params(key, params)
    extra = LORA.init_params(key, params)
    with pytest.raises(BadInput, match=r"LoRA\.merge: the trunk has no Dense_1/kernel"):
        LORA.merge({"Dense_0": params["Dense_0"]}, extra)
