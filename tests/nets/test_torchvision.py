"""Dilated ResNets and DeepLab's head beside torchvision's own, with the same random weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from mtl_jax import nets
from mtl_jax.nets.pretrained import TORCHVISION_RESNET
from mtl_jax.nets.pretrained.match import match_tensors
from mtl_jax.nets.pretrained.weights import variable_shapes

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")
pytestmark = pytest.mark.slow


def prepared(net):
    """A network in evaluation, with statistics that are not those of its start."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0.0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0.0, 0.1)
    return net.eval(), {name: each.detach().numpy() for name, each in net.state_dict().items()}


def channels_last(x):
    return jnp.asarray(x.detach().numpy().transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("output_stride", "dilated"),
    [(None, (False, False, False)), (16, (False, False, True)), (8, (False, True, True))],
)
def test_maps_of_a_dilated_resnet(output_stride, dilated):
    net, tensors = prepared(models.resnet50(replace_stride_with_dilation=dilated))
    trunk = nets.ResNet(50, small_images=False, output_stride=output_stride, features="pyramid")
    shapes = variable_shapes(trunk, (32, 32, 3), np.float32)
    variables = match_tensors(tensors, TORCHVISION_RESNET, *shapes)
    variables = unflatten_dict(variables, sep="/")
    x = torch.randn(2, 3, 65, 97)
    wanted = [net.maxpool(net.relu(net.bn1(net.conv1(x))))]
    for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
        wanted.append(layer(wanted[-1]))
    wanted = {each.shape[2:]: channels_last(each) for each in wanted}
    variables.pop("head")
    got = jax.jit(lambda x: trunk.apply(variables, x, train=False))(channels_last(x))
    for ours, theirs in zip(got.maps, wanted.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * float(abs(theirs).max()))


def test_outputs_of_deep_lab_head():
    segmentation = pytest.importorskip("torchvision.models.segmentation.deeplabv3")
    net, tensors = prepared(segmentation.DeepLabHead(32, 5, (2, 3, 6)))
    x = torch.randn(2, 32, 9, 11)
    wanted = torch.nn.functional.interpolate(net(x), size=(37, 50), mode="bilinear")
    places = {"pixel": "0.convs.0.", "atrous0": "0.convs.1.", "atrous1": "0.convs.2."}
    places |= {"atrous2": "0.convs.3.", "project": "0.project."}
    pairs = {name: (f"{place}0", f"{place}1") for name, place in places.items()}
    pairs |= {"pooled": ("0.convs.4.1", "0.convs.4.2"), "last": ("1", "2")}
    params = {"outputs": {"kernel": tensors["4.weight"][:, :, 0, 0].T, "bias": tensors["4.bias"]}}
    stats = {}
    for name, (conv, norm) in pairs.items():
        params[name] = {"kernel": tensors[f"{conv}.weight"].transpose(2, 3, 1, 0)}
        params[f"{name}_norm"] = {
            "scale": tensors[f"{norm}.weight"],
            "bias": tensors[f"{norm}.bias"],
        }
        mean, var = (tensors[f"{norm}.running_{each}"] for each in ("mean", "var"))
        stats[f"{name}_norm"] = {"mean": mean, "var": var}
    head = nets.heads.ASPP(5, (37, 50), rates=(2, 3, 6))
    got = head.apply({"params": params, "batch_stats": stats}, channels_last(x), train=False)
    np.testing.assert_allclose(got, channels_last(wanted), atol=1e-6)
