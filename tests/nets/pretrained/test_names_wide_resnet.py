"""Names of WideResNets: every tensor has its place, and another program's code is no match."""

import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import USB_WIDE_RESNET
from mtl_jax.nets.pretrained.match import match_tensors
from mtl_jax.nets.pretrained.weights import variable_shapes
from tests.nets.pretrained.state_dicts import drawn, norm


def tensors(count, bias, head):
    """A state dict of width 2, of so many blocks a group."""
    shapes = {"conv1.weight": (16, 3, 3, 3), "conv1.bias": (16,)}
    below = 16
    for group in (1, 2, 3):
        above = 16 * 2**group
        for at in range(count):
            name = f"block{group}.layer.{at}"
            kernels = {"conv1": (above, below, 3, 3), "conv2": (above, above, 3, 3)}
            kernels |= {"convShortcut": (above, below, 1, 1)} if at == 0 else {}
            shapes |= {f"{name}.{part}.weight": shape for part, shape in kernels.items()}
            shapes |= {f"{name}.{part}.bias": (above,) for part in kernels if bias}
            shapes |= norm(f"{name}.bn1", below) | norm(f"{name}.bn2", above)
            below = above
    head = {f"{head}.weight": (7, below), f"{head}.bias": (7,)}
    return drawn({**shapes, **norm("bn1", below), **head})


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("code", "head"), [("TorchSSL", "fc"), ("USB", "classifier")])
def test_every_tensor_has_its_place(code, head, count):
    given = tensors(count, code == "TorchSSL", head)
    depth = 4 + 6 * count
    trunk = nets.WideResNet(depth, bias=code == "TorchSSL", variant=code)
    found = match_tensors(given, USB_WIDE_RESNET, *variable_shapes(trunk, (32, 32, 3), np.float32))
    dead = 2 * 4  # by hand: the first norms of the second and the third group
    assert len(found) == len([name for name in given if "num_batches" not in name]) - dead
    last, inner = f"stage3/block{count - 1}", int(count > 1)
    for path, name in (
        (f"params/{last}/BatchNorm_{inner + 1}/scale", "bn1.weight"),
        (f"batch_stats/{last}/BatchNorm_{inner + 1}/var", "bn1.running_var"),
        (f"params/{last}/BatchNorm_{inner}/bias", f"block3.layer.{count - 1}.bn2.bias"),
        ("params/stage2/block0/BatchNorm_0/bias", "block2.layer.0.bn2.bias"),
        ("params/stage1/block0/BatchNorm_0/bias", "block1.layer.0.bn1.bias"),
        ("batch_stats/stage1/block0/BatchNorm_1/mean", "block1.layer.0.bn2.running_mean"),
    ):
        np.testing.assert_array_equal(found[path], given[name])
    kernel = given["block3.layer.0.convShortcut.weight"][:, :, 0, 0].T
    np.testing.assert_array_equal(found["params/stage3/block0/Conv_2/kernel"][0, 0], kernel)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({}, r"missing: .*stage2/block0/BatchNorm_1/mean"),
        ({"variant": "USB", "bias": False}, r"extra: block1.layer.0.conv1.bias"),
    ],
    ids=["FixMatch", "USB"],
)
def test_the_code_of_another_program_is_no_match(settings, rule):
    trunk = nets.WideResNet(16, **settings)
    with pytest.raises(BadInput, match=rule):
        match_tensors(
            tensors(2, True, "fc"),
            USB_WIDE_RESNET,
            *variable_shapes(trunk, (32, 32, 3), np.float32),
        )
