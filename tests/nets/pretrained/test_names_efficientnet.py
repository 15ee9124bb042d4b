"""Names of EfficientNet-Lite: each tensor of a block, and what is not needed."""

import numpy as np
import pytest

from mtl_jax.nets.pretrained import EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2
from mtl_jax.nets.pretrained.match import map_names


@pytest.mark.parametrize(
    ("name", "shape", "path", "wanted"),
    [
        ("_conv_stem.weight", (32, 3, 3, 5), "params/stem/conv/kernel", (3, 5, 3, 32)),
        ("_bn0.running_var", (32,), "batch_stats/stem/conv_norm/var", (32,)),
        ("_blocks.12._expand_conv.weight", (6, 4, 1, 1), "params/block12/expand/kernel", None),
        ("_blocks.3._bn0.weight", (6,), "params/block3/expand_norm/scale", (6,)),
        ("_blocks.0._depthwise_conv.weight", (8, 1, 3, 5), "params/block0/depthwise/kernel", None),
        ("_blocks.0._bn1.running_mean", (8,), "batch_stats/block0/depthwise_norm/mean", (8,)),
        ("_blocks.0._project_conv.weight", (4, 8, 1, 1), "params/block0/project/kernel", None),
        ("_blocks.0._bn2.bias", (4,), "params/block0/project_norm/bias", (4,)),
        ("_conv_head.weight", (9, 4, 1, 1), "params/last/conv/kernel", (1, 1, 4, 9)),
        ("_bn1.weight", (9,), "params/last/conv_norm/scale", (9,)),
        ("_fc.weight", (5, 9), "head/kernel", (9, 5)),
        ("_fc.bias", (5,), "head/bias", (5,)),
    ],
)
def test_lines(name, shape, path, wanted):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = map_names({name: array}, EFFICIENTNET_LITE0.table)
    assert found.tensors.keys() == {path} and not found.unexpected
    if wanted is None:
        wanted = (*shape[2:], shape[1], shape[0])
    assert found.tensors[path].shape == wanted
    assert found.tensors[path].ravel()[0] == array.ravel()[0]


def test_what_is_not_needed_and_what_is_not_known():
    tensors = {"_blocks.1._bn0.num_batches_tracked": np.int64(3), "_blocks.1._se": np.zeros(1)}
    found = map_names(tensors, EFFICIENTNET_LITE0.table)
    assert not found.tensors and found.unexpected == ["_blocks.1._se [1]"]


def test_images():
    names = (EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2)
    assert [each.preprocessing.size for each in names] == [224, 240, 260]
    x = np.array([0.0, 0.5, 1.0], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(names[0].preprocessing(x), 2.0 * x - 1.0)
