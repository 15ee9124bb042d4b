"""BiT: published sizes, its blocks in numpy, and what its kernels and norms do not see."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.backbones.bit import PreActivationBlock, RootBlock
from mtl_jax.nets.backbones.weight_standardization import StdConv, standardize
from tests.nets.through import QUICK

KEY = jax.eval_shape(lambda: jax.random.key(0))
SMALL = nets.BiT((1, 2), groups=2, channels=4)
X = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)


def outlines(trunk, parts, side):
    """Shapes of what each part gives, and how many parameters all up to it have."""
    x, count = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32), 0
    for part in parts:
        init = functools.partial(part.init_with_output, train=False)
        x, variables = jax.eval_shape(init, KEY, x)
        assert variables.keys() == {"params"}
        count += sum(leaf.size for leaf in jax.tree.leaves(variables))
        yield x.shape[1:], count
    assert jax.eval_shape(trunk.pool, x).shape == (2, x.shape[-1])


@pytest.mark.parametrize(
    ("depths", "width", "count"),
    # timm 1.0.31, resnetv2_50x1_bit, 50x3, 101x1, 101x3, 152x2, 152x4 with num_classes=0
    [
        ((3, 4, 6, 3), 1, 23_500_352),
        ((3, 4, 6, 3), 3, 211_174_080),
        ((3, 4, 23, 3), 1, 42_492_480),
        ((3, 4, 23, 3), 3, 381_789_888),
        ((3, 8, 36, 3), 2, 232_238_208),
        ((3, 8, 36, 3), 4, 928_340_224),
    ],
)
def test_published_sizes(depths, width, count):
    trunk = nets.BiT(depths, width)
    shapes, counts = zip(*outlines(trunk, trunk.stages(), 224), strict=True)
    assert shapes == (
        (56, 56, 64 * width), (56, 56, 256 * width), (28, 28, 512 * width),
        (14, 14, 1024 * width), (7, 7, 2048 * width),
    )  # fmt: skip
    assert counts[-1] == count
    assert f"| {count:,} | {count + 1000 * (2048 * width + 1):,} |" in " ".join(
        nets.BiT.__doc__.split()
    )


def test_small_images_keep_their_size_and_blocks_are_the_stages():
    trunk = nets.BiT((1, 2, 1), groups=2, channels=4, small_images=True)
    by_stage = list(outlines(trunk, trunk.stages(), 32))
    assert [shape for shape, _ in by_stage] == [
        (32, 32, 4), (32, 32, 16), (16, 16, 32), (8, 8, 64)
    ]  # fmt: skip
    by_block = list(outlines(trunk, trunk.blocks(), 32))
    assert [by_block[at] for at in (0, 1, 3, 4)] == by_stage
    assert [block.last for block in trunk.blocks()[1:]] == [False, False, False, True]
    assert len(nets.layer_names(trunk, (32, 32, 3))) == 4


def drawn(module, x):
    """Parameters with norms that are not fresh."""
    shapes = jax.eval_shape(functools.partial(module.init, train=False), KEY, x)["params"]
    draw = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: draw.normal(0.3, 1, leaf.shape).astype(np.float32), shapes)


@functools.cache
def applied(module, train=False):
    """The module as a compiled function of parameters and images."""

    def apply(params, x, **settings):
        return module.apply({"params": params}, x, train=train, **settings)

    return jax.jit(apply, compiler_options=QUICK)


def act(x, params, groups):
    """relu(norm(x)) of each image and group of channels, in double precision."""
    parts = x.astype(np.float64).reshape(len(x), -1, groups, x.shape[-1] // groups)
    mean, var = (moment(parts, axis=(1, 3), keepdims=True) for moment in (np.mean, np.var))
    normed = ((parts - mean) / np.sqrt(var + 1e-5)).reshape(x.shape)
    return np.maximum(normed * params["scale"] + params["bias"], 0.0)


def conv(x, params, stride=1):
    """By the standardised kernel, with the same edges of zeros on both sides."""
    kernel = params["kernel"].astype(np.float64)
    kernel = (kernel - kernel.mean((0, 1, 2))) / kernel.std((0, 1, 2))
    size = len(kernel)
    edge, new = size // 2, (x.shape[1] + 2 * (size // 2) - size) // stride + 1
    x = np.pad(x, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
    ends = [slice(i, i + (new - 1) * stride + 1, stride) for i in range(size)]
    return sum(
        x[:, rows][:, :, columns] @ kernel[i, j]
        for i, rows in enumerate(ends)
        for j, columns in enumerate(ends)
    )


@pytest.mark.parametrize(
    ("stride", "channels", "last"), [(1, 16, False), (2, 8, False), (2, 8, True)]
)
def test_a_block_in_numpy(stride, channels, last):
    """Without a projection where the channels stay; else one of the activated input."""
    block = PreActivationBlock(4, stride, 2, last)
    x = np.random.default_rng(2).normal(size=(2, 6, 6, channels)).astype(np.float32)
    params = drawn(block, x)
    active = act(x, params["norm1"], 2)
    skip = conv(active, params["project"], stride) if channels != 16 else x
    inner = act(conv(active, params["conv1"]), params["norm2"], 2)
    inner = act(conv(inner, params["conv2"], stride), params["norm3"], 2)
    inner = conv(inner, params["conv3"])
    for keep in (None, 0.0, 0.25):
        wanted = skip + (inner if keep is None else keep * inner)
        wanted = act(wanted, params["norm_end"], 2) if last else wanted
        got = applied(block)(params, x, keep=keep)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    assert ("project" in params) is (channels != 16) and ("norm_end" in params) is last


def test_the_edge_of_the_stems_pool_is_zero():
    """Which is more than what is below 0 along it."""
    stem, x = RootBlock(2, small_images=False), X.reshape(12, 8, 8, 3)
    params = drawn(stem, x)
    wide = np.pad(conv(x, params["conv"], 2), ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows = np.stack([wide[:, i : i + 3 : 2] for i in range(3)]).max(0)
    wanted = np.stack([rows[:, :, i : i + 3 : 2] for i in range(3)]).max(0)
    got = applied(stem)(params, x)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
    assert got.shape == (12, 2, 2, 2) and (got == 0).any()


def test_the_trunk_is_its_stages_and_training_changes_nothing():
    params, x = drawn(SMALL, X), X
    whole = applied(SMALL)(params, X)
    for depth, stage in enumerate(SMALL.stages()):
        x = applied(stage)(params[f"stage{depth}"], x)
    np.testing.assert_allclose(SMALL.pool(x), whole, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(applied(SMALL, train=True)(params, X), whole)
    assert whole.shape == (3, 32) and whole.std() > 0


def test_an_image_does_not_see_the_others():
    params = drawn(SMALL, X)
    others = np.concatenate([X[:1], 5.0 + 3.0 * X[1:]])
    whole, changed = (applied(SMALL)(params, x) for x in (X, others))
    np.testing.assert_allclose(changed[0], whole[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(applied(SMALL)(params, X[:1]), whole[:1], rtol=1e-4, atol=1e-5)
    assert np.abs(changed[1] - whole[1]).max() > 0.01


def test_a_kernels_scale_and_shift_do_not_count():
    params = drawn(SMALL, X)
    moved = jax.tree.map(lambda leaf: 3.0 * leaf + 0.5 if leaf.ndim == 4 else leaf, params)
    whole, same = (applied(SMALL)(p, X) for p in (params, moved))
    np.testing.assert_allclose(same, whole, rtol=1e-4, atol=1e-4)


def test_standardised_by_hand(variant):
    kernel = jnp.array([[1.0, 4.0, 2.0], [3.0, -4.0, 2.0]]).reshape(1, 2, 1, 3)
    wanted = [[-1.0, 1.0, 0.0], [1.0, -1.0, 0.0]]  # by hand: mean 2, 0, 2 and deviation 1, 4, 0
    np.testing.assert_allclose(variant(standardize)(kernel)[0, :, 0], wanted, rtol=1e-6)
    grads = variant(jax.grad(lambda k: standardize(k)[0, 1].sum()))(kernel)[0, :, 0]
    # By hand: two numbers are -1 and 1 whatever they are; equal ones are divided by 1e-5.
    np.testing.assert_allclose(grads[:, :2], 0.0, atol=1e-6)
    np.testing.assert_allclose(grads[:, 2], [-5e4, 5e4], rtol=1e-5)


def test_epsilon_is_the_authors():
    """With timm's 1e-8 it were 0.0995."""
    kernel = jnp.array([-1e-5, 1e-5]).reshape(1, 2, 1, 1)
    found = standardize(kernel)[0, 1, 0, 0]
    np.testing.assert_allclose(found, 0.70710678, rtol=1e-5)  # by hand: 1e-5 / sqrt(2e-10)


def test_gradients_of_seeds_side_by_side():
    """Under the strict rules of `conftest`, and as one by one."""
    layer = StdConv(4, (3, 3), use_bias=False)
    x = jax.random.normal(jax.random.key(1), (2, 5, 5, 8))

    def slope(key):
        params = layer.init(key, x)
        return jax.grad(lambda p: jnp.sin(layer.apply(p, x)).sum())(params)["params"]["kernel"]

    def every():
        keys = jax.random.split(jax.random.key(0), 2)
        return jax.vmap(slope)(keys)[1], slope(keys[1])

    both, one = jax.jit(every, compiler_options=QUICK)()
    np.testing.assert_allclose(both, one, rtol=1e-3, atol=1e-3 * np.abs(one).max())
    # The kernel's scale and shift do nothing, so the gradient is at right angles to both.
    np.testing.assert_allclose(one.sum((0, 1, 2)), 0.0, atol=1e-3 * np.abs(one).max())


def test_bad_settings_are_refused():
    with pytest.raises(BadInput, match=r"BiT.depths must be a tuple of integers"):
        nets.BiT((3, 0))
    with pytest.raises(BadInput, match=r"BiT.width must be at least 1, not 0"):
        nets.BiT(width=0)
    with pytest.raises(BadInput, match=r"BiT.groups must divide 48, not 32"):
        nets.BiT(channels=16, width=3)
