"""BERT with the weights of Transformers against its own numbers."""

import functools

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from mtl_jax import nets
from tests.golden.pretrained_rule import models, state_dict
from tests.golden.reading import OWN

TOLERANCE = 1e-4


def ours(directory):
    """The BERTs of a directory."""
    return [model for name, model in models(directory).items() if name.startswith("bert")]


def trunk_of(config):
    """The trunk of a config of Transformers."""
    return nets.BERT(
        vocabulary=config["vocab_size"],
        width=config["hidden_size"],
        depth=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        hidden=config["intermediate_size"],
        places=config["max_position_embeddings"],
    )


def test_own_directory_has_one():
    assert ours(OWN)


def test_tokens_and_pooler(golden_dir, tmp_path):
    found = ours(golden_dir)
    if not found:
        pytest.skip(f"no BERT in {golden_dir}")
    for model in found:
        path, trunk = tmp_path / "bert.safetensors", trunk_of(model["config"])
        save_file(state_dict(model), path)
        mask = np.array(model["attention_mask"], bool)
        # What the mask hides is padding here, whatever the reference had there.
        x = np.where(mask, np.array(model["input_ids"], np.int32), trunk.pad)
        assert ((x != trunk.pad) == mask).all()
        weights = nets.pretrained.Pretrained(str(path), nets.pretrained.BERT).load(
            trunk, x.shape[1:], dtype=np.int32
        )
        apply = functools.partial(trunk.clone(features="tokens").apply, train=False)
        features = jax.jit(apply)({"params": weights.params}, x)
        said = np.asarray(features.tokens)
        for row, valid, wanted in zip(said, mask, model["last_hidden_first8_valid"], strict=True):
            close(row[valid][:, :8], wanted)
        close(features.summary[:, :16], model["pooler_first16"])


def close(value, wanted):
    np.testing.assert_allclose(value, np.float32(wanted), rtol=TOLERANCE, atol=TOLERANCE)
