"""layer_names: every parameter of a trunk is in one layer, in the order of the calls."""

import re

import jax
import jax.numpy as jnp
import pytest

from mtl_jax import nets
from mtl_jax.core.tree import leaf_paths
from mtl_jax.core.validation import BadInput

TRUNKS = {
    "mlp": nets.MLP((4, 3), batch_norm=True),
    "cnn": nets.CNN((2, 3)),
    "lenet": nets.LeNet(),
    "resnet": nets.ResNet(18, width=2),
    "wide": nets.WideResNet(10, 1),
    "vit": nets.ViT(width=8, depth=2, heads=2, patch=8),
    "lite": nets.EfficientNetLite(),
}


@pytest.mark.parametrize("trunk", TRUNKS.values(), ids=TRUNKS)
def test_every_parameter_is_in_one_layer(trunk):
    shape = (32, 32, 3)
    layers = nets.layer_names(trunk, shape)
    variables = jax.eval_shape(
        lambda: trunk.init(jax.random.key(0), jnp.zeros((1, *shape)), train=False)
    )
    for path in leaf_paths(variables["params"]):
        assert sum(re.fullmatch(f"({layer})(/.*)?", path) is not None for layer in layers) == 1


def test_norms_belong_to_the_layer_before():
    assert nets.layer_names(TRUNKS["cnn"], (8, 8, 1)) == (
        "Conv_0|BatchNorm_0",
        "Conv_1|BatchNorm_1",
    )
    assert nets.layer_names(TRUNKS["mlp"], (8, 8, 1)) == (
        "Dense_0|BatchNorm_0",
        "Dense_1|BatchNorm_1",
    )
    assert len(nets.layer_names(TRUNKS["resnet"], (32, 32, 3))) == 5
    with pytest.raises(BadInput, match="layer_names"):
        nets.layer_names(nets.LoRA(TRUNKS["mlp"]), (8, 8, 1))
