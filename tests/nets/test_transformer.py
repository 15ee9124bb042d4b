"""The halves of a Transformer's block, by hand."""

import flax.linen as nn
import jax
import numpy as np
import pytest
import scipy.special

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.backbones.transformer import feed_forward, self_attention

INIT = nn.initializers.normal(0.5)
X = np.random.default_rng(0).normal(size=(2, 4, 6)).astype(np.float32)
MASK = np.array([[True] * 4, [True, True, False, False]])


class Halves(nn.Module):
    """Attention and an MLP, each by itself."""

    @nn.compact
    def __call__(self, x, mask):
        return self_attention(x, 2, INIT, mask), feed_forward(x, 5, INIT)


@pytest.fixture(scope="module")
def seen():
    """Parameters with biases that are not 0, and what they give."""
    shapes = jax.eval_shape(lambda: Halves().init(jax.random.key(0), X, MASK))
    draw = np.random.default_rng(1)
    variables = jax.tree.map(
        lambda leaf: draw.normal(size=leaf.shape).astype(np.float32) / 2.0, shapes
    )
    return variables["params"], jax.jit(Halves().apply)(variables, X, MASK)


def test_attention(seen):
    params, (got, _) = seen
    part = params["attention"]
    q, k, v = (
        np.einsum("ntd,dhe->nthe", X, part[name]["kernel"]) + part[name]["bias"]
        for name in ("query", "key", "value")
    )
    scores = np.einsum("nqhe,nkhe->nhqk", q, k) / np.sqrt(3.0)  # D / heads = 3
    scores = np.where(MASK[:, None, None, :], scores, -np.inf)
    read = np.einsum("nhqk,nkhe->nqhe", scipy.special.softmax(scores, -1), v)
    wanted = np.einsum("nqhe,hed->nqd", read, part["out"]["kernel"]) + part["out"]["bias"]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_the_mlp_has_the_exact_gelu(seen):
    params, (_, got) = seen
    inner = X @ params["mlp_in"]["kernel"] + params["mlp_in"]["bias"]
    inner = inner * scipy.special.ndtr(inner)
    wanted = inner @ params["mlp_out"]["kernel"] + params["mlp_out"]["bias"]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_what_is_masked_is_not_read(seen):
    params, (before, _) = seen
    other = np.where(MASK[..., None], X, X + 3.0)
    after, _ = jax.jit(Halves().apply)({"params": params}, other, MASK)
    np.testing.assert_allclose(after[1, :2], before[1, :2], rtol=1e-5)


@pytest.mark.parametrize("make", [nets.ViT, nets.BERT])
def test_heads_must_divide_the_width(make):
    with pytest.raises(BadInput, match=rf"{make.__name__}.heads must divide width 8, not 3"):
        make(width=8, heads=3)
    with pytest.raises(BadInput, match=rf"{make.__name__}.depth must be at least 1, not 0"):
        make(depth=0)
