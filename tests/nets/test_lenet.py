"""LeNet: sizes of MultiMNIST, values by hand, and images that are too small."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.tree import leaf_paths
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.backbones import lenet


@pytest.mark.parametrize(("side", "flat"), [(28, 320), (36, 720), (16, 20)])
def test_sizes(side, flat):
    trunk = nets.LeNet()
    x = jax.ShapeDtypeStruct((2, side, side, 1), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    features, variables = jax.eval_shape(
        lambda key, x: trunk.init_with_output(key, x, train=False), key, x
    )
    assert features.shape == (2, 50)
    assert leaf_paths(variables["params"])[::2] == [
        "stage0/bias", "stage1/bias", "stage2/Dense_0/bias"
    ]  # fmt: skip
    assert variables["params"]["stage2"]["Dense_0"]["kernel"].shape == (flat, 50)


def test_values_by_hand():
    """Kernels that only look at their centre: the net is max pools of scaled images."""
    x = np.random.default_rng(0).normal(size=(3, 16, 16, 1)).astype(np.float32)
    centre = np.zeros((5, 5, 1, 1), np.float32)
    centre[2, 2] = 2.0
    conv = {"kernel": centre, "bias": np.full(1, 0.5, np.float32)}
    dense = {"Dense_0": {"kernel": np.array([[1.0, -1.0]]), "bias": np.zeros(2)}}
    dense = jax.tree.map(np.float32, dense)
    variables = {"params": {"stage0": conv, "stage1": conv, "stage2": dense}}
    got = nets.LeNet((1, 1, 2)).apply(variables, x, train=False)

    def stage(x):
        x = 2.0 * x[:, 2:-2, 2:-2] + 0.5
        size = x.shape[1] // 2
        return np.maximum(x.reshape(3, size, 2, size, 2).max((2, 4)), 0.0)

    wanted = stage(stage(x[..., 0])).reshape(3, 1)
    assert wanted.min() > 0
    np.testing.assert_allclose(got, np.hstack([wanted, np.zeros_like(wanted)]), rtol=1e-5)


def test_a_convolution_is_xlas_own():
    draw = np.random.default_rng(0)
    x, kernel = draw.normal(size=(2, 9, 8, 3)), draw.normal(size=(5, 5, 3, 4))
    x, kernel = x.astype(np.float32), kernel.astype(np.float32)
    numbers = ("NHWC", "HWIO", "NHWC")
    wanted = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=numbers)
    np.testing.assert_allclose(lenet.convolve(x, kernel), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_only_a_cpu_has_a_product(platform):
    x, kernel = jnp.zeros((2, 9, 8, 3)), jnp.zeros((5, 5, 3, 4))
    grad = jax.grad(lambda x, kernel: jnp.sin(lenet.convolve(x, kernel)).sum(), (0, 1))
    text = jax.jit(grad).trace(x, kernel).lower(lowering_platforms=(platform,)).as_text()
    counts = [text.count(f"stablehlo.{name}") for name in ("convolution", "dot_general")]
    assert counts == ([0, 3] if platform == "cpu" else [3, 0])


def test_odd_sides_lose_their_edge():
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype(np.float32)
    wanted = nn.max_pool(x, (2, 2), (2, 2))
    np.testing.assert_array_equal(lenet.max_pool_2x2(jnp.asarray(x)), wanted)


def test_bad_settings_and_images_are_refused():
    with pytest.raises(BadInput, match=r"LeNet.features must be three"):
        nets.LeNet((4, 8))
    with pytest.raises(BadInput, match=r"LeNet.features must be a tuple"):
        nets.LeNet((4, 8, 0))
    with pytest.raises(BadInput, match="at least 16 pixels"):
        nets.LeNet().init(jax.random.key(0), jnp.zeros((1, 14, 14, 1)), train=False)
