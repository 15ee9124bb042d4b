"""Heads that read one vector: of every type of features, and by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.features import Pyramid, Tokens
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.heads.mlp import HiddenHead

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
MAP = jnp.asarray(RNG.normal(size=(2, 3, 4, 5)).astype(np.float32))
VECTOR = MAP.mean((1, 2))
FEATURES = {
    "vector": VECTOR,
    "sequence": MAP.reshape(2, 12, 5),
    "map": MAP,
    "pyramid": Pyramid((jnp.ones((2, 6, 8, 3)), MAP)),
    "tokens": Tokens(VECTOR, jnp.ones((2, 7, 5)), jnp.ones((2, 7))),
}
HEADS = [nets.heads.Linear(3), nets.heads.MLPHead(3, (4,))]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)
@pytest.mark.parametrize("kind", FEATURES)
def test_reads_every_type_as_one_vector(head, kind):
    assert kind in head.reads
    variables = head.init(KEY, VECTOR, train=False)
    wanted = head.apply(variables, VECTOR, train=True)
    got = head.apply(variables, FEATURES[kind], train=True)
    assert got.shape == (2, 3) and got.std() > 0
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_linear_starts_as_a_dense_layer():
    ours, theirs = (head.init(KEY, VECTOR) for head in (nets.heads.Linear(3), nn.Dense(3)))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_hidden_layers_by_hand():
    head = nets.heads.MLPHead(2, (4,))
    params = head.init(KEY, VECTOR)["params"]
    inner = np.maximum(np.asarray(VECTOR) @ params["Dense_0"]["kernel"], 0.0)
    wanted = inner @ params["Dense_1"]["kernel"]
    np.testing.assert_allclose(head.apply({"params": params}, VECTOR), wanted, rtol=1e-5)
    hidden = HiddenHead(2, 2).init(KEY, VECTOR)["params"]
    assert [hidden[f"Dense_{i}"]["kernel"].shape for i in range(3)] == [(5, 5), (5, 5), (5, 2)]


def test_what_is_no_features_is_refused():
    rule = r"Linear.features must be of type vector or sequence or .* \(nets.heads.Linear reads no other\)"
    with pytest.raises(BadInput, match=f"{rule}, not 'dict'"):
        nets.heads.Linear(3).init(KEY, {"a": VECTOR})
    with pytest.raises(BadInput, match=r"Linear.num_outputs must be at least 1, not 0"):
        nets.heads.Linear(0)
    with pytest.raises(BadInput, match=r"MLPHead.widths must be a tuple of integers"):
        nets.heads.MLPHead(3, (0,))
