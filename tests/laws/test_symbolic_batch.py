"""Every trunk and head is traced with a symbolic number of examples, as an export traces it."""

import inspect

import jax
import jax.export
import jax.numpy as jnp
import pytest

from mtl_jax import nets
from mtl_jax.nets import heads, make_model
from tests.dense import TRUNK
from tests.laws.test_nets import IMPOSSIBLE, MAKERS, TRUNKS, made

(BATCH,) = jax.export.symbolic_shape("batch")
IMAGE = (32, 32, 3)
MAP = {"task": heads.Pixel(3), "vector": 2}
GRAPH = {"atoms": (5, 4), "edges": (5, 5, 3), "mask": (5,)}
# Trunk, shape of an input, heads.
BACKBONES = {
    "BERT": (nets.BERT(20, 8, 1, 2, features="tokens"), (7,), {"task": heads.Span()}),
    "BiT": (nets.BiT((1, 1, 1, 1)), IMAGE, {"task": 3}),
    "CNN": (nets.CNN((8, 8)), IMAGE, {"task": 3}),
    "EfficientNetLite": (nets.EfficientNetLite(), IMAGE, {"task": 3}),
    "FCN": (nets.FCN(), (30, 2), {"task": 3}),
    "LeNet": (nets.LeNet(), (28, 28, 1), {"task": 3}),
    "MLP": (nets.MLP((8,), batch_norm=True), (6, 6, 1), {"task": heads.Linear(3)}),
    "MPNN": (nets.MPNN(), GRAPH, {"task": 3}),
    "ResNet": (nets.ResNet(18), IMAGE, {"task": 3}),
    "SegNet": (nets.SegNet((4, 8)), IMAGE, {"task": heads.SegNetHead(3)}),
    "UNet": (nets.UNet((4, 8)), IMAGE, MAP),
    "ViT": (nets.ViT(patch=8, width=8, depth=1, heads=2), IMAGE, {"task": 3}),
    "WideResNet": (nets.WideResNet(depth=10, width=1), IMAGE, {"task": 3}),
}
OTHERS = {
    "ASPP": (nets.ResNet(18, output_stride=8, features="map"), IMAGE, {"task": heads.ASPP(3)}),
    "Center": (nets.ResNet(18, features="pyramid"), IMAGE, {"task": heads.Center(3)}),
    "FPN": (nets.ResNet(18, features="pyramid"), IMAGE, {"task": heads.FPN(3)}),
    "Token": (nets.BERT(20, 8, 1, 2, features="tokens"), (7,), {"task": heads.Token(3)}),
    "LoRA": (nets.LoRA(nets.MLP((8,)), rank=1), IMAGE, {"task": 3}),
    "PerTaskTrunk": (nets.PerTaskTrunk(TRUNK), (8, 8, 1), MAP),
    "Prompts": (nets.ViT(patch=8, width=8, depth=1, heads=2, prompts=nets.Prompts(3)), IMAGE, {"task": 3}),
    "SegNetMTAN": (nets.SegNetMTAN((4, 8)), IMAGE, MAP),
    "SSF": (nets.SSF(nets.MLP((8,))), IMAGE, {"task": 3}),
    "StochNorm": (nets.StochNorm(nets.CNN((4,))), IMAGE, {"task": 3}),
    "TwoBranch": (nets.TwoBranch(nets.CNN((4,))), IMAGE, {"task": 3}),
}  # fmt: skip
ARCHITECTURES = {
    f"{name} {trunk}": (made(name, TRUNKS[trunk]), (6, 6, 1), {"task": 3, "other": 2})
    for name in MAKERS
    for trunk in ("mlp", "cnn")
    if (name, trunk) not in IMPOSSIBLE
}
CASES = {**BACKBONES, **OTHERS, **ARCHITECTURES}


def struct(shape, count):
    """Inputs of a shape, or of several by name; tokens if a single one has one axis."""
    if isinstance(shape, dict):
        return {k: jax.ShapeDtypeStruct((count, *s), jnp.float32) for k, s in shape.items()}
    dtype = jnp.int32 if len(shape) == 1 else jnp.float32
    return jax.ShapeDtypeStruct((count, *shape), dtype)


@pytest.mark.parametrize("name", CASES)
def test_outputs_have_the_number_of_inputs(name):
    trunk, shape, outputs = CASES[name]
    model = make_model(trunk, outputs)
    params, stats = jax.eval_shape(model.init, jax.random.key(0), struct(shape, 2))
    found, concrete = (
        jax.eval_shape(
            lambda p, s, x: model.apply(p, s, x, train=False)[0].logits, params, stats, x
        )
        for x in (struct(shape, BATCH), struct(shape, 2))
    )
    for leaf, other in zip(*map(jax.tree.leaves, (found, concrete)), strict=True):
        assert leaf.shape == (BATCH, *other.shape[1:])


def test_every_backbone_is_here():
    made_in = {
        n: v for n, v in vars(nets).items() if inspect.isclass(v) and "backbones" in v.__module__
    }
    assert made_in.keys() == BACKBONES.keys()
