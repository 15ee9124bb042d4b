"""SegNet-MTAN: the authors' sizes, whose parameters they are, and masks by hand."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.backbones.segnet import segnet_levels
from tests.nets.through import QUICK

KEY = jax.random.key(0)
TRUNK = nets.SegNetMTAN((3, 4), tasks=("a", "b"))
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 10, 1)).astype(np.float32))


def count(params, *beginnings):
    found = {name: each for name, each in params.items() if name.startswith(beginnings)}
    return sum(leaf.size for leaf in jax.tree.leaves(found))


def test_sizes_of_the_authors_network():
    """The counts of their class: masks, what lies between levels, and SegNet."""
    trunk = nets.SegNetMTAN(tasks=("segmentation", "depth", "normals"))
    x = jax.ShapeDtypeStruct((1, 288, 384, 3), jnp.float32)
    got, variables = jax.eval_shape(lambda x: trunk.init_with_output(KEY, x, train=False), x)
    params = variables["params"]
    assert {each.shape for each in got.values()} == {(1, 288, 384, 64)}
    assert count(params, "task_") == 8_953_728
    assert count(params, "encoder_bring", "decoder_bring") == 10_220_160
    assert count(params, "") == 44_117_184 == 44_229_073 - 111_889  # Without the three heads.
    masks = [params[f"task_decoder_mask{level}_depth"]["Dense_0"]["kernel"] for level in range(5)]
    assert [kernel.shape for kernel in masks] == [
        (128, 64), (192, 64), (384, 128), (768, 256), (1024, 512)
    ]  # fmt: skip


@functools.cache
def variables():
    return jax.device_get(jax.jit(lambda: TRUNK.init(KEY, X, train=False))())


def changed(name, **norm):
    """Variables in which the last norm of a mask is another."""
    params = variables()["params"]
    old = params[name]["BatchNorm_1"]
    norm = {key: np.full_like(old[key], value) for key, value in norm.items()}
    mask = {**params[name], "BatchNorm_1": {**old, **norm}}
    return {**variables(), "params": {**params, name: mask}}


@functools.cache
def applied():
    return jax.jit(functools.partial(TRUNK.apply, train=False), compiler_options=QUICK)


def test_an_open_mask_shows_the_shared_segnet_and_a_shut_one_nothing():
    segnet = nets.SegNet((3, 4))
    parts = {
        kind: {
            name: each for name, each in tree.items() if "bring" not in name and "task" not in name
        }
        for kind, tree in variables().items()
    }
    shared = segnet.apply(parts, X, train=False)
    opened = applied()(changed("task_decoder_mask0_a", scale=0.0, bias=50.0), X)
    shut = applied()(changed("task_decoder_mask0_a", scale=0.0, bias=-50.0), X)
    np.testing.assert_allclose(opened["a"], shared, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(shut["a"], 0.0, atol=1e-6)
    np.testing.assert_array_equal(opened["b"], shut["b"])
    assert shared.std() > 0 and opened["b"].std() > 0


def test_masks_of_the_encoder_reach_the_features():
    plain = applied()(variables(), X)
    for level in (0, 1):
        other = applied()(changed(f"task_encoder_mask{level}_b", bias=3.0), X)
        assert (other["b"] != plain["b"]).any()
        np.testing.assert_array_equal(other["a"], plain["a"])


def test_the_first_mask_reads_the_first_convolution_of_the_level():
    """A fresh norm divides by sqrt(1 + 1e-5)."""
    seen = {}

    class Spy(nets.SegNetMTAN):
        def attend(self, name, parts, shared, train):
            seen[name] = (parts, shared, super().attend(name, parts, shared, train))
            return seen[name][2]

    class Levels(nets.SegNet):
        @nn.compact
        def __call__(self, x, *, train):
            return segnet_levels(self, x, train)

    Spy((3, 4), tasks=("a", "b")).apply(variables(), X, train=False)
    level = Levels((3, 4)).apply(variables(), X, train=False)[0]
    (first,), last, attended = seen["task_encoder_mask0_a"]
    np.testing.assert_allclose(first, level.first, rtol=1e-5)
    np.testing.assert_allclose(last, level.last, rtol=1e-5)
    mask, norm = variables()["params"]["task_encoder_mask0_a"], np.sqrt(1 + 1e-5)
    inner = np.maximum(np.asarray(first) @ mask["Dense_0"]["kernel"] / norm, 0.0)
    inner = inner @ mask["Dense_1"]["kernel"] / norm
    np.testing.assert_allclose(attended, np.asarray(last) / (1 + np.exp(-inner)), rtol=1e-4)


def test_parameters_are_parted_by_their_names():
    net = nets.make_model(nets.SegNetMTAN((2,)), {"a": 2, "b": 1})
    params, _ = jax.eval_shape(net.init, jax.eval_shape(lambda: jax.random.key(0)), X)
    assert params["shared"].keys() == {"encoder0", "decoder0", "encoder_bring0", "decoder_bring0"}
    assert params["tasks"]["own"].keys() == {
        f"task_{side}_mask0_{task}" for side in ("encoder", "decoder") for task in "ab"
    }


def test_images_below_one_pixel_are_refused():
    with pytest.raises(BadInput, match=r"SegNetMTAN.x must be images .* at least 4 x 4"):
        TRUNK.init(KEY, X[:, :3], train=False)
