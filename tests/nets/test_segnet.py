"""SegNet: pooling and unpooling against loops, and the sizes of MTAN's network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.backbones.segnet import max_pool_with_index, max_unpool
from tests.nets.through import QUICK

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (2, 3)])
def test_values_go_back_to_their_pixels(size):
    """Few different values, so that windows have ties, which the first value wins."""
    x = RNG.integers(-2, 3, (2, *size, 3)).astype(np.float32)
    pooled, index = max_pool_with_index(jnp.asarray(x))
    values = RNG.normal(size=pooled.shape).astype(np.float32)
    wanted_pool, wanted = np.zeros_like(values), np.zeros_like(x)
    for n, i, j, c in np.ndindex(values.shape):
        window = x[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        row, column = np.unravel_index(window.argmax(), (2, 2))
        wanted_pool[n, i, j, c] = window.max()
        wanted[n, 2 * i + row, 2 * j + column, c] = values[n, i, j, c]
    np.testing.assert_array_equal(pooled, wanted_pool)
    np.testing.assert_array_equal(max_unpool(jnp.asarray(values), index, size), wanted)
    grads = jax.grad(lambda x: (max_pool_with_index(x)[0] * values).sum())(jnp.asarray(x))
    np.testing.assert_array_equal(grads, wanted)


def test_sizes_of_the_authors_network():
    x = jax.ShapeDtypeStruct((1, 288, 384, 3), jnp.float32)
    trunk = nets.SegNet()
    got, variables = jax.eval_shape(lambda x: trunk.init_with_output(KEY, x, train=False), x)
    params = variables["params"]
    assert got.shape == (1, 288, 384, 64)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 24_943_296

    def widths(side):
        levels = [params[f"{side}{level}"] for level in range(5)]
        return [
            [level[name]["kernel"].shape[2:] for name in level if "Conv" in name]
            for level in levels
        ]

    assert widths("encoder") == [
        [(3, 64), (64, 64)], [(64, 128), (128, 128)], [(128, 256), *[(256, 256)] * 2],
        [(256, 512), *[(512, 512)] * 2], [(512, 512)] * 3,
    ]  # fmt: skip
    assert widths("decoder") == [
        [(64, 64)] * 2, [(128, 64), (64, 64)], [(256, 128), *[(128, 128)] * 2],
        [(512, 256), *[(256, 256)] * 2], [(512, 512)] * 3,
    ]  # fmt: skip


def test_odd_images_keep_their_size_and_train():
    trunk, x = nets.SegNet((2, 3)), jnp.asarray(RNG.normal(size=(2, 9, 6, 1)).astype(np.float32))

    def train(x):
        variables = trunk.init(KEY, x, train=False)

        def total(params):
            got, moved = trunk.apply(
                {**variables, "params": params}, x, train=True, mutable=["batch_stats"]
            )
            return jnp.square(got).sum(), (got, moved)

        return jax.grad(total, has_aux=True)(variables["params"])

    grads, (got, moved) = jax.jit(train, compiler_options=QUICK)(x)
    assert got.shape == (2, 9, 6, 2) and moved["batch_stats"]["decoder0"]
    kernels = [grads[level]["Conv_0"]["kernel"] for level in grads]
    assert len(kernels) == 4 and all((kernel != 0).any() for kernel in kernels)


def test_images_below_one_pixel_are_refused():
    with pytest.raises(BadInput, match=r"SegNet.x must be images .* at least 32 x 32 .*16, 64, 3"):
        nets.SegNet().init(KEY, jnp.zeros((1, 16, 64, 3)), train=False)
    with pytest.raises(BadInput, match=r"SegNet.widths must be a tuple"):
        nets.SegNet((8, 0))
