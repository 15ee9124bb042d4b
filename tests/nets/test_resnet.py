"""ResNet: sizes of the paper, a block by hand, and how it is cut."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.backbones.resnet import Block
from tests.nets.through import QUICK

KEY = jax.eval_shape(lambda: jax.random.key(0))


def outlines(trunk, parts, side):
    """Shapes of what each part gives, and the parameters of all of them."""
    x, params = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32), []
    for part in parts:
        init = functools.partial(part.init_with_output, train=False)
        x, variables = jax.eval_shape(init, KEY, x)
        params.append(variables["params"])
        yield x.shape[1:], sum(leaf.size for leaf in jax.tree.leaves(params))
    assert jax.eval_shape(trunk.pool, x).shape == (2, x.shape[-1])


@pytest.mark.parametrize(
    ("depth", "widen", "count", "wide"),
    # torchvision's resnet18, 34, 50, 101 and wide_resnet50_2, 101_2, without the last layer.
    [
        (18, None, 11_176_512, 512),
        (34, None, 21_284_672, 512),
        (50, None, 23_508_032, 2048),
        (101, None, 42_500_160, 2048),
        (50, 2, 66_834_240, 2048),
        (101, 2, 124_837_696, 2048),
    ],
)
def test_sizes_of_the_paper(depth, widen, count, wide):
    trunk = nets.ResNet(depth, small_images=False, widen=widen)
    shapes, counts = zip(*outlines(trunk, trunk.stages(), 224), strict=True)
    times = wide // 512
    assert shapes == (
        (56, 56, 64), (56, 56, 64 * times), (28, 28, 128 * times), (14, 14, 256 * times),
        (7, 7, wide),
    )  # fmt: skip
    assert counts[-1] == count


def test_small_images_keep_their_size_and_blocks_are_the_stages():
    trunk = nets.ResNet(18, width=4)
    by_stage = list(outlines(trunk, trunk.stages(), 32))
    by_block = list(outlines(trunk, trunk.blocks(), 32))
    assert [shape for shape, _ in by_stage] == [
        (32, 32, 4), (32, 32, 4), (16, 16, 8), (8, 8, 16), (4, 4, 32)
    ]  # fmt: skip
    assert by_block[::2] == by_stage


def test_the_trunk_is_its_stages():
    trunk, x = nets.ResNet(18, width=2), jax.random.uniform(jax.random.key(1), (3, 8, 8, 1))

    def both(x):
        variables = trunk.init(jax.random.key(0), x, train=False)
        whole, moved = trunk.apply(variables, x, train=True, mutable=["batch_stats"])
        for depth, stage in enumerate(trunk.stages()):
            own = {kind: tree[f"stage{depth}"] for kind, tree in variables.items()}
            x, _ = stage.apply(own, x, train=True, mutable=["batch_stats"])
        return whole, trunk.pool(x), variables["batch_stats"], moved["batch_stats"]

    whole, pieced, stats, moved = jax.jit(both, compiler_options=QUICK)(x)
    np.testing.assert_allclose(pieced, whole, rtol=1e-4, atol=1e-5)
    assert whole.shape == (3, 16) and whole.std() > 0
    pairs = zip(*map(jax.tree.leaves, (stats, moved)), strict=True)
    assert all((one != other).any() for one, other in pairs)


def test_a_block_by_hand():
    """Kernels that only look at their centre: relu(x + 2 relu(3 x)), norms being fresh."""
    block = Block(1, 1, False)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 1)).astype(np.float32))
    variables = block.init(jax.random.key(0), x, train=False)

    def centred(value):
        return {"kernel": jnp.zeros((3, 3, 1, 1)).at[1, 1].set(value)}

    variables["params"]["Conv_0"], variables["params"]["Conv_1"] = centred(3.0), centred(2.0)
    whole = np.maximum(x + 6.0 * np.maximum(x, 0.0), 0.0)
    for keep, wanted in ((None, whole), (1.0, whole), (0.0, x), (0.25, 0.25 * whole + 0.75 * x)):
        got = block.apply(variables, x, train=False, keep=keep)
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_skip_that_changes_the_shape_is_a_projection():
    block = Block(2, 2, True)
    x = jnp.ones((1, 4, 4, 3))
    variables = block.init(jax.random.key(0), x, train=False)
    assert [variables["params"][f"Conv_{i}"]["kernel"].shape for i in range(4)] == [
        (1, 1, 3, 2), (3, 3, 2, 2), (1, 1, 2, 8), (1, 1, 3, 8)
    ]  # fmt: skip
    got = block.apply(variables, x, train=False, keep=0.0)
    kernel = variables["params"]["Conv_3"]["kernel"][0, 0]
    assert got.shape == (1, 2, 2, 8)
    np.testing.assert_allclose(got[0, 0, 0], kernel.sum(0), rtol=1e-4)


def test_bad_settings_are_refused():
    with pytest.raises(BadInput, match=r"ResNet.depth must be one of \(18, 34, 50, 101\), not 20"):
        nets.ResNet(20)
    with pytest.raises(BadInput, match=r"ResNet.width must be at least 1"):
        nets.ResNet(width=0)
    with pytest.raises(BadInput, match=r"ResNet.widen must be at least 1"):
        nets.ResNet(50, widen=0)
    with pytest.raises(BadInput, match=r"ResNet.widen needs bottlenecks, .*, not 2"):
        nets.ResNet(34, widen=2)


def test_a_width_that_is_not_given_leaves_the_identity():
    assert "widen" not in to_source(nets.ResNet(50))
    assert "widen=2" in to_source(nets.ResNet(50, widen=2))
