"""ViT with timm's weights against timm's own numbers."""

import functools

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from mtl_jax import nets
from tests.golden.pretrained_rule import images, models, state_dict
from tests.golden.reading import OWN

TOLERANCE = 1e-4


def ours(directory):
    """The ViTs of a directory."""
    return [model for name, model in models(directory).items() if name.startswith("vit")]


def trunk_of(shapes):
    """The trunk that tensors of these shapes are of; timm's heads are of 64 numbers."""
    width, _, patch, _ = shapes["patch_embed.proj.weight"]
    depth = sum(name.endswith("attn.qkv.weight") for name in shapes)
    return nets.ViT(width, depth, width // 64, patch=patch)


def test_own_directory_has_one():
    assert ours(OWN)


def test_features_and_logits(golden_dir, tmp_path):
    found = ours(golden_dir)
    if not found:
        pytest.skip(f"no ViT in {golden_dir}")
    for model in found:
        path, x = tmp_path / "vit.safetensors", images(model)
        save_file(state_dict(model), path)
        trunk = trunk_of(model["state_dict"])
        weights = nets.pretrained.Pretrained(str(path), nets.pretrained.TIMM_VIT).load(
            trunk, x.shape[1:]
        )
        apply = jax.jit(functools.partial(trunk.apply, train=False))
        features = np.asarray(apply({"params": weights.params}, x))
        close(features[:, :16], model["cls_first16"])
        close(features @ weights.head["kernel"] + weights.head["bias"], model["logits"])


def close(value, wanted):
    np.testing.assert_allclose(value, np.float32(wanted), rtol=TOLERANCE, atol=TOLERANCE)
