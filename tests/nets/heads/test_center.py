"""CenterNet's head: its outputs at the start, and both types of features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.features import Pyramid
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.heads.fpn import TopDown

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 8, 5)).astype(np.float32))
HEAD = nets.heads.Center(3, width=4)


def test_centers_are_rare_at_the_start():
    outputs, variables = HEAD.init_with_output(KEY, X, train=False)
    shapes = {name: each.shape for name, each in outputs.items()}
    assert shapes == {"heatmap": (2, 6, 8, 3), "size": (2, 6, 8, 2), "offset": (2, 6, 8, 2)}
    np.testing.assert_allclose(jax.nn.sigmoid(outputs["heatmap"]), 0.1, atol=2e-3)
    np.testing.assert_allclose(outputs["size"], 0.0, atol=0.02)
    assert all(each.std() > 0 for each in outputs.values())
    assert variables["params"]["heatmap_hidden"]["kernel"].shape == (3, 3, 5, 4)


def test_a_branch_by_hand():
    variables = HEAD.init(KEY, X, train=False)
    hidden, last = variables["params"]["size_hidden"], variables["params"]["size"]
    padded = np.pad(np.asarray(X), ((0, 0), (1, 1), (1, 1), (0, 0)))
    window = padded[1, 2:5, 3:6]  # Around the pixel (2, 3).
    inner = np.maximum(np.einsum("ijc,ijcd->d", window, hidden["kernel"]), 0.0)
    wanted = inner @ np.asarray(last["kernel"])
    got = HEAD.apply(variables, X, train=False)["size"][1, 2, 3]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-7)


def test_of_a_pyramid_it_reads_the_finest_merged_map():
    features = Pyramid((X, X[:, ::2, ::2]))
    outputs, variables = HEAD.init_with_output(KEY, features, train=False)
    params = dict(variables["params"])
    merged = TopDown(4).apply({"params": params.pop("pyramid")}, features).maps[0]
    wanted = HEAD.apply({"params": params}, merged, train=False)
    jax.tree.map(np.testing.assert_array_equal, outputs, wanted)


def test_other_features_are_refused():
    with pytest.raises(
        BadInput, match=r"Center.features must be of type map or pyramid .*not 'vector'"
    ):
        HEAD.init(KEY, X.mean((1, 2)), train=False)
    with pytest.raises(BadInput, match=r"Center.width must be at least 1, not 0"):
        nets.heads.Center(3, width=0)
