"""Names of BiT: timm's tensors give timm's numbers, Google's names the same net, and images."""

import functools

import jax
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import GOOGLE_BIT, TIMM_BIT, Pretrained
from tests.nets.pretrained.state_dicts import saved
from tests.nets.through import QUICK

TRUNK = nets.BiT((2, 1, 1), groups=4, channels=8)
SHAPE = (21, 21, 3)


def wave(*shape):
    """Numbers without a pattern that any program can make."""
    return np.sin(0.01 * np.arange(np.prod(shape)) ** 2).reshape(shape).astype(np.float32)


@functools.cache
def timm():
    """Tensors of the trunk and a head of five as timm names them."""
    shapes, below = {"stem.conv.weight": (8, 3, 7, 7)}, 8
    for group, count in enumerate(TRUNK.depths):
        width = 8 * 2**group
        for at in range(count):
            name = f"stages.{group}.blocks.{at}"
            if not at:
                shapes[f"{name}.downsample.conv.weight"] = (4 * width, below, 1, 1)
            kernels = (width, below, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)
            for number, kernel in enumerate(kernels, 1):
                shapes[f"{name}.conv{number}.weight"] = kernel
                shapes |= norm(f"{name}.norm{number}", kernel[1])
            below = 4 * width
    shapes |= norm("norm", below)
    shapes |= {"head.fc.weight": (5, below, 1, 1), "head.fc.bias": (5,)}
    return {
        name: numbers(name, shape, at) for at, (name, shape) in enumerate(sorted(shapes.items()))
    }


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def numbers(name, shape, at):
    """Of vectors around 1 or 0, as scales and biases are."""
    drawn = np.sin(0.01 * np.arange(np.prod(shape)) ** 2 + at).reshape(shape)
    if len(shape) == 1:
        drawn = 0.5 * drawn + name.endswith("weight")
    return drawn.astype(np.float32)


def google(axes=1):
    """The same tensors by Google's names, those of norms with so many axes."""
    parts, tensors = {"1": "a", "2": "b", "3": "c"}, {}
    for name, array in timm().items():
        words = name.split(".")
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        elif "norm" in name:
            array = array.reshape(*(1,) * (axes - 1), -1)
        leaf = {"weight": "gamma", "bias": "beta"}[words[-1]]
        if words[0] == "stages":
            place = f"resnet/block{int(words[1]) + 1}/unit{int(words[3]) + 1:02d}"
            if words[4] == "downsample":
                tensors[f"{place}/a/proj/standardized_conv2d/kernel"] = array
                continue
            kind, part = words[4][:-1], parts[words[4][-1]]
            kind = {"conv": "standardized_conv2d/kernel", "norm": f"group_norm/{leaf}"}[kind]
            tensors[f"{place}/{part}/{kind}"] = array
        else:
            kind = {
                "stem": "root_block/standardized_conv2d/kernel",
                "norm": f"group_norm/{leaf}",
                "head": f"head/conv2d/{'kernel' if array.ndim == 4 else 'bias'}",
            }[words[0]]
            tensors[f"resnet/{kind}"] = array
    return tensors


def loaded(folder, tensors, names, **settings):
    """The weights of a file with the tensors."""
    end = "npz" if names is GOOGLE_BIT else "safetensors"
    return Pretrained(saved(folder, tensors, f"bit.{end}"), names, **settings).load(TRUNK, SHAPE)


def test_numbers_of_timm(tmp_path):
    weights = loaded(tmp_path, timm(), TIMM_BIT)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def every(params, head, x):
        maps = []
        for depth, stage in enumerate(TRUNK.stages()):
            x = stage.apply({"params": params[f"stage{depth}"]}, x, train=False)
            maps.append(x)
        features = TRUNK.pool(x)
        return maps, features, features @ head["kernel"] + head["bias"][None]

    maps, features, logits = every(weights.params, weights.head, wave(2, *SHAPE))
    assert [each.shape[1:] for each in maps] == [(6, 6, 8), (6, 6, 32), (3, 3, 64), (2, 2, 128)]
    corners = np.stack([each[1, 0, -1, :3] for each in maps])
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4)
    # timm 1.0.31, ResNetV2 with stem_type="fixed" and epsilon 1e-10, in double precision
    close(
        corners,
        [
            [2.0551261, 10.9848607, 4.3932833],
            [1.4020502, -1.3191686, -0.5240608],
            [6.8959969, 4.6897232, 1.2648239],
            [2.7577212, 0.1007941, 0.5199402],
        ],
    )
    norms = [np.linalg.norm(each) for each in (*maps, features)]
    close(norms, [281.53306, 175.70006, 155.68391, 27.23016, 10.29196])  # timm 1.0.31
    close(features[0, :4], [2.4962097, 0.3110504, 1.4618992, 0.3536110])  # timm 1.0.31
    close(logits[1], [6.9817614, -3.2786685, 8.4041266, -6.2514967, -3.7361050])  # timm 1.0.31


@pytest.mark.parametrize("axes", [1, 4])
def test_google_names_the_same(tmp_path, axes):
    wanted = loaded(tmp_path, timm(), TIMM_BIT)
    found = loaded(tmp_path, google(axes), GOOGLE_BIT)
    for tree, other in ((found.params, wanted.params), (found.head, wanted.head)):
        jax.tree.map(np.testing.assert_array_equal, tree, other)
    assert found.stats == {} and len(google(axes)) == len(timm())


@pytest.mark.parametrize("names", [GOOGLE_BIT, TIMM_BIT], ids=lambda names: names.name)
def test_images(names):
    x = np.array([0.0, 0.5, 1.0], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(names.preprocessing(x), 2.0 * x - 1.0)


def test_what_does_not_fit_is_told(tmp_path):
    tensors = google()
    tensors["resnet/block4/unit01/a/group_norm/gamma"] = np.ones(256, np.float32)
    del tensors["resnet/block1/unit02/c/standardized_conv2d/kernel"]
    tensors["resnet/head/conv2d/kernel"] = np.ones((2, 2, 128, 5), np.float32)
    with pytest.raises(BadInput) as wrong:
        loaded(tmp_path, tensors, GOOGLE_BIT)
    for told in (
        r"missing: params/stage1/block1/conv3/kernel [1, 1, 8, 32]",
        r"extra: params/stage4/block0/norm1/scale [256]",
        r"misshapen: resnet/head/conv2d/kernel [2, 2, 128, 5]",
    ):
        assert told in str(wrong.value)


def test_without_its_head(tmp_path):
    assert loaded(tmp_path, timm(), TIMM_BIT, skip=(r"head\..*",)).head is None
