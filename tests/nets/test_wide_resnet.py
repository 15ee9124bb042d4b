"""WideResNet: published sizes, the whole of a small one in numpy, its norms and its first block."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.backbones.wide_resnet import WideBlock
from tests.nets.through import QUICK

KEY = jax.eval_shape(lambda: jax.random.key(0))
SMALL = nets.WideResNet(depth=10, width=1)
X = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)


def outlines(trunk, parts, side):
    """Shapes of what each part gives, and how many parameters all up to it have."""
    x, count = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32), 0
    for part in parts:
        init = functools.partial(part.init_with_output, train=False)
        x, variables = jax.eval_shape(init, KEY, x)
        count += sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        yield x.shape[1:], count
    assert jax.eval_shape(trunk.pool, x).shape == (2, x.shape[-1])


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ((28, 2, 3, False), 1_467_610),  # github.com/jvlmdr/flax-cifar, README
        ((28, 8, 3, False), 23_354_842),  # github.com/jvlmdr/flax-cifar, README
        ((37, 2, 4, False), 5_929_434),  # by hand; TorchSSL's issues say 5.93 million
        ((28, 2, 3, True), 1_469_642),  # by hand: 2,032 channels of convolutions more
        ((28, 8, 3, True), 23_362_922),  # by hand: 8,080 more
        ((37, 2, 4, True), 5_933_770),  # by hand: 4,336 more
        ((46, 2, 5, True), 23_774_922),  # by hand; FixMatch's Section 4.2 says 23.8 million
    ],
    ids=str,
)
def test_published_sizes_with_a_head_of_ten(settings, count):
    trunk = nets.WideResNet(*settings)
    (_, _, wide), body = list(outlines(trunk, trunk.stages(), 32))[-1]
    assert wide == 16 * trunk.width * 2 ** (trunk.groups - 1)
    assert body + 10 * wide + 10 == count
    wanted = f"{body:,} | {count:,}".split(" | ")
    assert trunk.groups == 5 or all(number in nets.WideResNet.__doc__ for number in wanted)


def test_groups_after_the_first_halve_the_image_and_blocks_are_the_stages():
    trunk = nets.WideResNet(depth=16)
    by_stage = list(outlines(trunk, trunk.stages(), 32))
    assert [shape for shape, _ in by_stage] == [
        (32, 32, 16), (32, 32, 32), (16, 16, 64), (8, 8, 128)
    ]  # fmt: skip
    assert list(outlines(trunk, trunk.blocks(), 32))[::2] == by_stage


def drawn(shapes):
    """Variables with norms that are not fresh; variances are above 0."""
    rng = np.random.default_rng(1)

    def draw(leaf):
        low = 0.1 if leaf.ndim == 1 else -0.5
        return rng.uniform(low, 0.5, leaf.shape).astype(np.float32)

    return jax.tree.map(draw, shapes)


def act(x, params, stats, at, epsilon=1e-3):
    norm, seen = params[f"BatchNorm_{at}"], stats[f"BatchNorm_{at}"]
    x = (x - seen["mean"]) / np.sqrt(seen["var"] + epsilon) * norm["scale"] + norm["bias"]
    return np.where(x > 0, x, 0.1 * x)


def conv(x, params, at, stride=1, even=False):
    """As TensorFlow's "same": what it lacks is padded, and the odd pixel at the far edges."""
    kernel, bias = params[f"Conv_{at}"]["kernel"], params[f"Conv_{at}"].get("bias", 0.0)
    size, old = len(kernel), x.shape[1]
    new = -(-old // stride)
    lack = max((new - 1) * stride + size - old, 0)
    edges = (size // 2, size // 2) if even else (lack // 2, lack - lack // 2)
    x = np.pad(x.astype(np.float64), ((0, 0), edges, edges, (0, 0)))
    ends = [slice(i, i + (new - 1) * stride + 1, stride) for i in range(size)]
    return bias + sum(
        x[:, rows][:, :, columns] @ kernel[i, j]
        for i, rows in enumerate(ends)
        for j, columns in enumerate(ends)
    )


def test_the_whole_in_numpy():
    """Three groups of one block: the first acts before its skip, which is no convolution."""
    variables = drawn(jax.eval_shape(functools.partial(SMALL.init, train=False), KEY, X))
    got = jax.jit(functools.partial(SMALL.apply, train=False), compiler_options=QUICK)(variables, X)
    params, stats = variables["params"], variables["batch_stats"]
    x = conv(X, params["stage0"], 0)
    for group in (1, 2, 3):
        own, seen = params[f"stage{group}"]["block0"], stats[f"stage{group}"]["block0"]
        active = act(x, own, seen, 0)
        inner = conv(active, own, 0, stride=1 if group == 1 else 2)
        inner = conv(act(inner, own, seen, 1), own, 1)
        x = inner + (active if group == 1 else conv(x, own, 2, stride=2))
    wanted = act(x, own, seen, 2).mean((1, 2))
    assert got.shape == (2, 64) and wanted.std() > 0
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("code", "bias", "epsilon"), [("TorchSSL", True, 1e-3), ("USB", False, 1e-5)]
)
def test_the_whole_of_other_codes_in_numpy(code, bias, epsilon):
    """Later groups apply f to the input as it is; all edges are padded alike."""
    trunk = nets.WideResNet(depth=10, width=2, bias=bias, variant=code)
    variables = drawn(jax.eval_shape(functools.partial(trunk.init, train=False), KEY, X))
    got = jax.jit(functools.partial(trunk.apply, train=False), compiler_options=QUICK)(variables, X)
    params, stats = variables["params"], variables["batch_stats"]
    assert "bias" in params["stage0"]["Conv_0"]
    assert ("bias" in params["stage1"]["block0"]["Conv_0"]) is bias
    x = conv(X, params["stage0"], 0)
    for group in (1, 2, 3):
        own, seen = params[f"stage{group}"]["block0"], stats[f"stage{group}"]["block0"]
        given = act(x, own, seen, 0, epsilon) if group == 1 else x
        stride = 1 if group == 1 else 2
        inner = act(conv(given, own, 0, stride, even=True), own, seen, int(group == 1), epsilon)
        x = conv(inner, own, 1) + conv(given, own, 2, stride)
    last = {"BatchNorm_2": own["BatchNorm_1"]}, {"BatchNorm_2": seen["BatchNorm_1"]}
    wanted = act(x, *last, 2).mean((1, 2))
    assert got.shape == (2, 128) and wanted.std() > 0
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_only_the_very_first_block_activates_before_its_skip():
    blocks = nets.WideResNet(depth=16, width=1).blocks()[1:]
    assert [block.first for block in blocks] == [True] + 5 * [False]
    assert [block.last for block in blocks] == 5 * [False] + [True]
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 4, 4, 16)).astype(np.float32))
    slopes = np.where(x > 0, x, 0.1 * x) / np.sqrt(1 + 1e-3)  # by hand; norms are fresh
    for block, skip in ((blocks[0], slopes), (blocks[1], x)):
        params, none, half, one, whole = kept(block, x)
        assert params.keys() == {"BatchNorm_0", "BatchNorm_1", "Conv_0", "Conv_1"}
        np.testing.assert_allclose(none, skip, atol=1e-6)
        np.testing.assert_allclose(half, 0.5 * (none + one), atol=1e-5)
        np.testing.assert_allclose(whole, one, atol=1e-5)
        assert np.abs(one - none).max() > 0.1


def kept(block, x):
    """Parameters, and what a block gives that is kept not at all, by half, by all, and as it is."""

    def every(x):
        variables = block.init(jax.random.key(0), x, train=False)
        apply = functools.partial(block.apply, variables, x, train=False)
        return variables["params"], *(apply(keep=keep) for keep in (0.0, 0.5, 1.0)), apply()

    return jax.device_get(jax.jit(every, compiler_options=QUICK)(x))


def test_running_statistics_keep_all_but_a_thousandth():
    block = WideBlock(4, 1, bias=True, first=True, last=False)
    x = 3.0 + jax.random.normal(jax.random.key(1), (4, 6, 6, 2))

    def trained(x):
        variables = block.init(jax.random.key(0), x, train=False)
        return block.apply(variables, x, train=True, mutable=["batch_stats"])[1]

    norm = jax.jit(trained, compiler_options=QUICK)(x)["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(norm["mean"], 0.001 * x.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(norm["var"], 0.999 + 0.001 * x.var((0, 1, 2)), rtol=1e-6)


def test_kernels_are_drawn_by_what_they_give():
    """Normal, not cut off, with variance `2 / (9 out)`; biases start at 0."""
    block = nets.WideResNet(depth=10, width=4).blocks()[1]
    init = jax.jit(functools.partial(block.init, train=False), compiler_options=QUICK)
    params = init(jax.random.key(0), jnp.zeros((1, 4, 4, 16)))["params"]
    kernel = params["Conv_0"]["kernel"]
    assert kernel.shape == (3, 3, 16, 64) and not params["Conv_0"]["bias"].any()
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (9 * 64)), rtol=0.03)
    assert np.abs(kernel).max() > 3 * kernel.std()


def test_bad_settings_are_refused():
    with pytest.raises(BadInput, match=r"WideResNet.depth must be 1 \+ groups .*, not 37"):
        nets.WideResNet(37)
    with pytest.raises(BadInput, match=r"WideResNet.depth must be 1 \+ groups .*, not 4"):
        nets.WideResNet(4)
    with pytest.raises(BadInput, match=r"WideResNet.width must be at least 1"):
        nets.WideResNet(width=0)
    with pytest.raises(BadInput, match=r"WideResNet.variant must be one of"):
        nets.WideResNet(variant="usb")
    with pytest.raises(
        BadInput, match=r"WideResNet.variant needs a width above 1 and three groups"
    ):
        nets.WideResNet(37, groups=4, variant="USB")


def test_a_code_that_is_not_given_leaves_the_identity():
    assert "variant" not in to_source(nets.WideResNet())
    assert "variant='USB'" in to_source(nets.WideResNet(variant="USB"))
