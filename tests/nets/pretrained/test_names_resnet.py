"""Names of ResNets: every tensor of every depth has its place, and lies where it belongs."""

import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.nets.pretrained import TIMM_RESNET, TORCHVISION_RESNET
from mtl_jax.nets.pretrained.match import match_tensors
from mtl_jax.nets.pretrained.weights import variable_shapes
from tests.nets.pretrained.state_dicts import resnet

CASES = {
    (18, None): ((2, 2, 2, 2), False, 1),
    (34, None): ((3, 4, 6, 3), False, 1),
    (50, None): ((3, 4, 6, 3), True, 1),
    (101, None): ((3, 4, 23, 3), True, 1),
    (50, 2): ((3, 4, 6, 3), True, 2),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_tensor_has_its_place(case):
    (depth, widen), (counts, bottleneck, times) = case, CASES[case]
    trunk = nets.ResNet(depth, small_images=False, width=2, widen=widen)
    wanted, features = variable_shapes(trunk, (32, 32, 3), np.float32)
    tensors = resnet(counts, bottleneck, widen=times)
    found = match_tensors(tensors, TORCHVISION_RESNET, wanted, features)
    assert found.keys() == wanted.keys() | {"head/kernel", "head/bias"}
    whole = {name: array for name, array in tensors.items() if "num_batches" not in name}
    assert len(found) == len(whole)
    sums = sorted(float(array.astype(np.float64).sum()) for array in found.values())
    np.testing.assert_allclose(sums, sorted(a.astype(np.float64).sum() for a in whole.values()))


@pytest.mark.parametrize(("bottleneck", "last"), [(False, 2), (True, 3)])
def test_the_projection_stands_after_the_other_convolutions(bottleneck, last):
    depth, counts = (50, (3, 4, 6, 3)) if bottleneck else (18, (2, 2, 2, 2))
    trunk = nets.ResNet(depth, small_images=False, width=2)
    tensors = resnet(counts, bottleneck)
    found = match_tensors(tensors, TIMM_RESNET, *variable_shapes(trunk, (32, 32, 3), np.float32))
    place = "stage2/block0"
    for path, name in (
        (f"params/{place}/BatchNorm_{last}/scale", "layer2.0.downsample.1.weight"),
        (f"params/{place}/BatchNorm_{last}/bias", "layer2.0.downsample.1.bias"),
        (f"batch_stats/{place}/BatchNorm_{last}/var", "layer2.0.downsample.1.running_var"),
        (f"batch_stats/{place}/BatchNorm_1/mean", "layer2.0.bn2.running_mean"),
    ):
        np.testing.assert_array_equal(found[path], tensors[name])
    kernel = tensors["layer2.0.downsample.0.weight"][:, :, 0, 0].T
    np.testing.assert_array_equal(found[f"params/{place}/Conv_{last}/kernel"][0, 0], kernel)
