"""EfficientNet-Lite: published sizes, a block by hand, and when statistics move."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.tree import num_params
from mtl_jax.nets.backbones.efficientnet import InvertedBottleneck, relu6, round_channels
from tests.nets.through import QUICK

KEY = jax.eval_shape(lambda: jax.random.key(0))


@pytest.mark.parametrize(
    ("version", "count", "pixels"),
    # efficientnet-lite-pytorch 0.1.0, with a head of 1000
    [(0, 4_652_008, 224), (1, 5_416_680, 240), (2, 6_092_072, 260)],
)
def test_published_sizes(version, count, pixels):
    trunk = nets.EfficientNetLite(version)
    x = jax.ShapeDtypeStruct((2, pixels, pixels, 3), jnp.float32)
    init = functools.partial(trunk.init_with_output, train=False)
    features, variables = jax.eval_shape(init, KEY, x)
    body = num_params(variables["params"])
    assert features.shape == (2, 1280) and body + 1_281_000 == count
    assert all(f"{number:,}" in nets.EfficientNetLite.__doc__ for number in (body, count))
    parts, shapes = 0, []
    for stage in trunk.stages():
        init = functools.partial(stage.init_with_output, train=False)
        x, own = jax.eval_shape(init, KEY, x)
        parts += num_params(own["params"])
        shapes.append(x.shape[1])
    assert parts == body and jax.eval_shape(trunk.pool, x).shape == (2, 1280)
    halved = [-(-pixels // 2**times) for times in (1, 1, 2, 3, 4, 4, 5, 5, 5)]
    assert shapes == halved


def test_channels_are_rounded():
    # By hand: 17.6, 26.4, 44, 88, 123.2, 211.2 and 352 of version 2; 11 is too small by a tenth.
    widths = (16, 24, 40, 80, 112, 192, 320)
    assert [round_channels(1.1 * width) for width in widths] == [16, 24, 48, 88, 120, 208, 352]
    assert round_channels(11.0) == 16 and round_channels(3.0) == 8


def norm(x, params, stats):
    return (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-3) * params["scale"] + params["bias"]


def depthwise(x, kernel, stride):
    """As TensorFlow's "same": the odd pixel of padding is at the far edges."""
    side, high = kernel.shape[0], -(-x.shape[1] // stride)
    pad = max((high - 1) * stride + side - x.shape[1], 0)
    x = np.pad(x, ((0, 0), *[(pad // 2, pad - pad // 2)] * 2, (0, 0)))
    taps = [
        x[:, a : a + (high - 1) * stride + 1 : stride, b : b + (high - 1) * stride + 1 : stride]
        * kernel[a, b, 0]
        for a in range(side)
        for b in range(side)
    ]
    return sum(taps)


@pytest.mark.parametrize(
    ("width", "size", "stride", "times"), [(4, 3, 1, 6), (5, 5, 2, 6), (4, 3, 2, 6), (6, 3, 1, 1)]
)
def test_a_block_in_numpy(width, size, stride, times):
    block = InvertedBottleneck(width, size, stride, times)
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    shapes = jax.eval_shape(functools.partial(block.init, train=False), KEY, x)
    draw = np.random.default_rng(1)
    variables = jax.tree.map(
        lambda leaf: draw.uniform(0.1, 1.5, leaf.shape).astype(np.float32), shapes
    )
    params, stats = variables["params"], variables["batch_stats"]
    inner = x
    if times > 1:
        inner = inner @ params["expand"]["kernel"][0, 0]
        inner = np.clip(norm(inner, params["expand_norm"], stats["expand_norm"]), 0, 6)
    inner = depthwise(inner, params["depthwise"]["kernel"], stride)
    inner = np.clip(norm(inner, params["depthwise_norm"], stats["depthwise_norm"]), 0, 6)
    inner = inner @ params["project"]["kernel"][0, 0]
    inner = norm(inner, params["project_norm"], stats["project_norm"])
    wanted = x + inner if width == 4 and stride == 1 else inner
    apply = jax.jit(functools.partial(block.apply, train=False), compiler_options=QUICK)
    np.testing.assert_allclose(apply(variables, x), wanted, rtol=1e-3, atol=1e-3)


def test_activation():
    np.testing.assert_array_equal(relu6(jnp.array([-1.0, 0.5, 6.0, 7.0])), [0.0, 0.5, 6.0, 6.0])


def test_only_training_moves_statistics_and_how_far():
    block = InvertedBottleneck(3, 3, 1, 2)
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype(np.float32)

    def every(x):
        variables = block.init(jax.random.key(0), x, train=False)
        _, still = block.apply(variables, x, train=False, mutable=["batch_stats"])
        _, moved = block.apply(variables, x, train=True, mutable=["batch_stats"])
        return variables, still["batch_stats"], moved["batch_stats"]

    variables, still, moved = jax.device_get(jax.jit(every, compiler_options=QUICK)(x))
    jax.tree.map(np.testing.assert_array_equal, still, variables["batch_stats"])
    inner = x @ variables["params"]["expand"]["kernel"][0, 0]
    found = moved["expand_norm"]
    np.testing.assert_allclose(found["mean"], 0.01 * inner.mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(found["var"], 0.99 + 0.01 * inner.var((0, 1, 2)), rtol=1e-5)


def test_kernels_are_drawn_by_what_they_give():
    block = InvertedBottleneck(64, 5, 1, 6)
    x = jnp.zeros((1, 5, 5, 64))
    params = jax.jit(lambda: block.init(jax.random.key(0), x, train=False))()["params"]
    for name, fan in (("expand", 384), ("depthwise", 25), ("project", 64)):
        np.testing.assert_allclose(params[name]["kernel"].std(), np.sqrt(2 / fan), rtol=0.05)
