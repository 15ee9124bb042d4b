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


@pytest.mark.parametrize(("depth", "output_stride"), [(18, 2), (18, 4), (50, 2)])
def test_a_dilated_net_is_the_strided_one_in_between(depth, output_stride):
    """At the positions that the strided net has, both read the same pixels of the image."""
    x = jax.random.normal(jax.random.key(1), (1, 17, 25, 1))
    strided = nets.ResNet(depth, width=2, features="map")
    dilated = nets.ResNet(depth, width=2, features="map", output_stride=output_stride)

    def both(x):
        variables = strided.init(jax.random.key(0), x, train=False)
        shapes = jax.eval_shape(lambda x: dilated.init(jax.random.key(0), x, train=False), x)
        assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, shapes)
        return [trunk.apply(variables, x, train=False) for trunk in (strided, dilated)]

    wanted, got = jax.jit(both, compiler_options=QUICK)(x)
    step = 8 // output_stride
    assert got.shape[1:3] == (16 // output_stride + 1, 24 // output_stride + 1)
    assert wanted.std() > 0 and got.shape[1] > wanted.shape[1]
    np.testing.assert_allclose(got[:, ::step, ::step], wanted, rtol=1e-3, atol=1e-4)


def test_maps_of_the_paper_and_of_deep_lab():
    x = jax.ShapeDtypeStruct((1, 64, 96, 3), jnp.float32)

    def maps(**settings):
        trunk = nets.ResNet(18, small_images=False, width=4, features="pyramid", **settings)
        init = functools.partial(trunk.init_with_output, train=False)
        features, _ = jax.eval_shape(init, KEY, x)
        return [each.shape[1:] for each in features.maps]

    assert maps() == [(16, 24, 4), (8, 12, 8), (4, 6, 16), (2, 3, 32)]
    assert maps(output_stride=16) == [(16, 24, 4), (8, 12, 8), (4, 6, 32)]
    assert maps(output_stride=8) == [(16, 24, 4), (8, 12, 32)]
    assert maps(output_stride=4) == [(16, 24, 32)]
    small = nets.ResNet(18, output_stride=8)
    assert [*small.strides_and_rates()] == [*nets.ResNet(18).strides_and_rates()]


@pytest.mark.parametrize(
    "trunk",
    [
        nets.ResNet(18, width=2),
        nets.WideResNet(10, 1),
        nets.BiT((1, 1), groups=2, channels=2),
        nets.EfficientNetLite(0),
    ],
    ids=lambda trunk: type(trunk).__name__,
)
def test_a_vector_is_the_mean_of_the_map_and_a_pyramid_ends_with_it(trunk):
    x = jax.random.normal(jax.random.key(1), (2, 33, 32, 3))

    def apply(x):
        variables = trunk.init(jax.random.key(0), x, train=False)
        kinds = (None, "vector", "map", "pyramid")
        return [trunk.clone(features=kind).apply(variables, x, train=False) for kind in kinds]

    default, vector, features, pyramid = jax.jit(apply, compiler_options=QUICK)(x)
    np.testing.assert_array_equal(default, vector)
    np.testing.assert_allclose(features.mean((1, 2)), vector, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(pyramid.maps[-1], features)
    sides = [each.shape[1] for each in pyramid.maps]
    assert sides == sorted(set(sides), reverse=True) and len(sides) > 1


def test_an_architecture_of_stages_reads_a_map_but_no_pyramid():
    x = jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32)
    net = nets.MTAN(nets.ResNet(18, width=2, features="pyramid"), tasks=("a",))
    with pytest.raises(BadInput, match=r"ResNet.features must be 'map' or 'vector' here, .*'pyra"):
        jax.eval_shape(lambda key, x: net.init(key, x, train=False), KEY, x)


def test_strides_that_do_not_exist_are_refused():
    with pytest.raises(BadInput, match=r"ResNet.output_stride must be one of \(None, 4, 8, 16, 32"):
        nets.ResNet(50, small_images=False, output_stride=2)
    with pytest.raises(BadInput, match=r"ResNet.features must be one of \('vector', 'map', 'pyra"):
        nets.ResNet(50, features="image")
    assert to_source(nets.ResNet(50)) == "ResNet(depth=50, small_images=True, width=64)"
