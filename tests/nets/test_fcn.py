"""FCN: the paper's size, values by hand, XLA's own convolution, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.tree import num_params
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.backbones import fcn


def test_the_papers_size():
    x = jax.ShapeDtypeStruct((2, 25, 12), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    features, variables = jax.eval_shape(
        lambda key, x: nets.FCN().init_with_output(key, x, train=False), key, x
    )
    assert features.shape == (2, 128)
    # By hand: kernels of 8, 5 and 3 times, and a scale and a bias for each channel.
    kernels = 8 * 12 * 128 + 5 * 128 * 256 + 3 * 256 * 128
    assert num_params(variables["params"]) == kernels + 2 * (128 + 256 + 128)


def test_values_by_hand():
    """Kernels that look at one time each: the net scales, and the mean is over time."""
    x = np.random.default_rng(0).normal(size=(3, 7, 1)).astype(np.float32)
    norm = {"scale": np.ones(1), "bias": np.full(1, 0.5)}
    stats = {"mean": np.zeros(1), "var": np.full(1, 4.0 - 1e-5)}  # a norm that halves
    centre = {"kernel": np.array([0.0, 2.0, 0.0]).reshape(3, 1, 1), "BatchNorm_0": norm}
    later = {"kernel": np.array([0.0, 2.0]).reshape(2, 1, 1), "BatchNorm_0": norm}
    variables = {
        "params": {"stage0": centre, "stage1": later},
        "batch_stats": {name: {"BatchNorm_0": stats} for name in ("stage0", "stage1")},
    }
    variables = jax.tree.map(np.float32, variables)
    got = nets.FCN((1, 1), (3, 2)).apply(variables, x, train=False)
    first = np.maximum(x + 0.5, 0.0)
    # An even kernel sees one time more after than before, and a zero behind the last.
    second = np.maximum(np.pad(first[:, 1:], ((0, 0), (0, 1), (0, 0))) + 0.5, 0.0)
    np.testing.assert_allclose(got, second.mean(1), rtol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 3, 8])
def test_a_convolution_is_xlas_own(length):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(2, 6, 3)).astype(np.float32)
    kernel = draw.normal(size=(length, 3, 4)).astype(np.float32)
    wanted = jax.lax.conv_general_dilated(
        x, kernel, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
    )
    np.testing.assert_allclose(fcn.convolve(x, kernel), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_only_a_cpu_has_a_product(platform):
    x, kernel = jnp.zeros((2, 6, 3)), jnp.zeros((3, 3, 4))
    grad = jax.grad(lambda x, kernel: jnp.sin(fcn.convolve(x, kernel)).sum(), (0, 1))
    text = jax.jit(grad).trace(x, kernel).lower(lowering_platforms=(platform,)).as_text()
    counts = [text.count(f"stablehlo.{name}") for name in ("convolution", "dot_general")]
    assert counts == ([0, 3] if platform == "cpu" else [3, 0])


def test_only_training_moves_statistics():
    trunk, x = nets.FCN((4, 4), (3, 3)), jax.random.normal(jax.random.key(1), (5, 9, 2))

    @jax.jit
    def both(x):
        variables = trunk.init(jax.random.key(0), x, train=False)
        after = trunk.apply(variables, x, train=True, mutable=["batch_stats"])[1]
        still = trunk.apply(variables, x, train=False, mutable=["batch_stats"])[1]
        return variables["batch_stats"], after["batch_stats"], still.get("batch_stats", {})

    before, after, still = both(x)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before, after)
    assert all(jax.tree.leaves(moved))
    jax.tree.map(np.testing.assert_array_equal, still, before if still else still)


def test_bad_settings_and_inputs_are_refused():
    with pytest.raises(BadInput, match=r"FCN.features must be a tuple"):
        nets.FCN((4, 0))
    with pytest.raises(BadInput, match=r"FCN.sizes must be a tuple"):
        nets.FCN((4,), (0,))
    with pytest.raises(BadInput, match=r"FCN.sizes must be 1 as features are, not \(8, 5, 3\)"):
        nets.FCN((4,))
    with pytest.raises(BadInput, match=r"FCN.x must be signals \[N, T, C\]"):
        nets.FCN((4,), (3,)).init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)), train=False)
