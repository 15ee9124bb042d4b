"""ResNets with weights by torchvision's names against torchvision's own features and logits."""

import functools

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from mtl_jax import nets
from mtl_jax.nets.pretrained import TORCHVISION_RESNET, Pretrained
from tests.golden.pretrained_rule import images, models, state_dict
from tests.golden.reading import OWN
from tests.nets.through import QUICK

TRUNKS = {
    "resnet18": nets.ResNet(18, small_images=False),
    "resnet50": nets.ResNet(50, small_images=False),
}
STAGES = ("maxpool", "layer1", "layer2", "layer3", "layer4")


def test_own_directory_has_every_trunk():
    assert models(OWN).keys() >= TRUNKS.keys()


@pytest.mark.parametrize("name", TRUNKS)
def test_features_logits_and_stages(name, golden_dir, tmp_path):
    model = models(golden_dir).get(name)
    if model is None:
        pytest.skip(f"no reference values of {name} in {golden_dir}")
    save_file(state_dict(model), tmp_path / "model.safetensors")
    x, trunk = images(model), TRUNKS[name]
    pretrained = Pretrained(str(tmp_path / "model.safetensors"), TORCHVISION_RESNET)
    weights = pretrained.load(trunk, x.shape[1:])
    found = jax.jit(functools.partial(forward, trunk), compiler_options=QUICK)(weights, x)
    np.testing.assert_allclose(found["features"][:, :16], model["pooled_first16"], rtol=1e-4)
    logits = np.asarray(found["logits"])[:, :16]
    np.testing.assert_allclose(logits, model["logits_first16"], rtol=1e-4, atol=1e-4)
    for at, wanted in model["stage_stats"].items():
        given = np.asarray(found[at])
        n, c, *sides = wanted["shape_nchw"]
        assert given.shape == ((n, c) if at == "avgpool" else (n, *sides, c))
        np.testing.assert_allclose(given.mean(), wanted["mean"], rtol=1e-4)
        np.testing.assert_allclose(given.std(ddof=1), wanted["std"], rtol=1e-4)  # as PyTorch has it


def forward(trunk, weights, x):
    """What every stage gives, the features and the logits."""
    found, features = {}, x
    for depth, (name, stage) in enumerate(zip(STAGES, trunk.stages(), strict=True)):
        variables = {
            "params": weights.params[f"stage{depth}"],
            "batch_stats": weights.stats[f"stage{depth}"],
        }
        features = found[name] = stage.apply(variables, features, train=False)
    found["avgpool"] = trunk.pool(features)
    variables = {"params": weights.params, "batch_stats": weights.stats}
    found["features"] = trunk.apply(variables, x, train=False)
    found["logits"] = found["features"] @ weights.head["kernel"] + weights.head["bias"][None]
    return found
