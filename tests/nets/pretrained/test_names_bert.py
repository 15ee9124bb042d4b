"""Names of BERT: prefixes, old names of norms, and what is known and not needed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors.numpy import save_file

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import BERT, Pretrained

TRUNK = nets.BERT(vocabulary=7, width=4, depth=1, heads=2, hidden=6, places=5)
NAMES = {
    "embed/token": "embeddings.word_embeddings.weight",
    "embed/place": "embeddings.position_embeddings.weight",
    "embed/type": "embeddings.token_type_embeddings.weight",
    "embed/norm": "embeddings.LayerNorm",
    "block0/attention/query": "encoder.layer.0.attention.self.query",
    "block0/attention/key": "encoder.layer.0.attention.self.key",
    "block0/attention/value": "encoder.layer.0.attention.self.value",
    "block0/attention/out": "encoder.layer.0.attention.output.dense",
    "block0/norm_attention": "encoder.layer.0.attention.output.LayerNorm",
    "block0/mlp_in": "encoder.layer.0.intermediate.dense",
    "block0/mlp_out": "encoder.layer.0.output.dense",
    "block0/norm_mlp": "encoder.layer.0.output.LayerNorm",
    "pooler": "pooler.dense",
}


@functools.cache
def params():
    """Random numbers in the place of every parameter, by path."""
    init = functools.partial(TRUNK.init, train=False)
    key = jax.eval_shape(lambda: jax.random.key(0))
    tree = jax.eval_shape(init, key, jnp.zeros((1, 5)))["params"]
    draw = np.random.default_rng(0)
    return {
        path: draw.normal(size=leaf.shape).astype(np.float32)
        for path, leaf in flatten_dict(tree, sep="/").items()
    }


def theirs(prefix="", scale="weight", shift="bias"):
    """The parameters as a file has them."""
    tensors = {}
    for path, leaf in params().items():
        if path in NAMES:
            tensors[prefix + NAMES[path]] = leaf
            continue
        layer, _, kind = path.rpartition("/")
        if "norm" in layer:
            end = scale if kind == "scale" else shift
        else:
            end = "weight" if kind == "kernel" else "bias"
        if "attention/" in layer:
            leaf = leaf.reshape(4, 4) if kind == "kernel" else leaf.reshape(4)
        tensors[f"{prefix}{NAMES[layer]}.{end}"] = leaf.T if kind == "kernel" else leaf
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}


def loaded(tmp_path, tensors, trunk=TRUNK):
    save_file(tensors, tmp_path / "bert.safetensors")
    pretrained = Pretrained(str(tmp_path / "bert.safetensors"), BERT)
    weights = pretrained.load(trunk, (5,), dtype=np.int32)
    return flatten_dict(weights.params, sep="/"), weights


def test_plain_names(tmp_path):
    more = {"embeddings.position_ids": np.arange(5)[None]}
    found, weights = loaded(tmp_path, theirs() | more)
    assert found.keys() == params().keys() and weights.head is None
    assert weights.preprocessing is None
    for path, leaf in params().items():
        np.testing.assert_array_equal(found[path], leaf)


def test_prefixes_old_names_and_heads(tmp_path):
    more = {
        "cls.predictions.bias": np.zeros(7, np.float32),
        "cls.seq_relationship.weight": np.zeros((2, 4), np.float32),
        "classifier.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
        "classifier.bias": np.ones(3, np.float32),
    }
    found, weights = loaded(tmp_path, theirs("bert.", "gamma", "beta") | more)
    for path, leaf in params().items():
        np.testing.assert_array_equal(found[path], leaf)
    np.testing.assert_array_equal(weights.head["kernel"], more["classifier.weight"].T)


def test_a_trunk_without_a_pooler_leaves_it(tmp_path):
    found, _ = loaded(tmp_path, theirs(), TRUNK.clone(pooling="mean"))
    assert found.keys() == {path for path in params() if not path.startswith("pooler")}
    lacking = {name: array for name, array in theirs().items() if "pooler" not in name}
    with pytest.raises(BadInput, match=r"missing: params/pooler/bias"):
        loaded(tmp_path, lacking)


def test_another_width_is_reported(tmp_path):
    with pytest.raises(BadInput, match=r"misshapen: .*norm/bias\) \[4\], here \[6\], .* more$"):
        loaded(tmp_path, theirs(), TRUNK.clone(width=6))
