"""Heads of tokens and of spans of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.features import Tokens
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32))
MASK = jnp.array([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
TOKENS = Tokens(X[:, 0], X, MASK)


@pytest.mark.parametrize("head", [nets.heads.Token(5), nets.heads.Span()])
def test_every_token_is_mapped_alone(head):
    variables = head.init(KEY, X, train=False)
    kernel = np.asarray(variables["params"]["Dense_0"]["kernel"])
    got = head.apply(variables, X, train=False)
    assert got.shape == (2, 4, head.num_outputs)
    np.testing.assert_allclose(got, np.asarray(X) @ kernel, rtol=1e-5, atol=1e-6)
    of_tokens = head.apply(variables, TOKENS, train=True)
    np.testing.assert_array_equal(of_tokens[0], got[0])
    np.testing.assert_array_equal(of_tokens[1, :2], got[1, :2])


def test_no_span_begins_or_ends_at_padding():
    head = nets.heads.Span()
    variables = head.init(KEY, TOKENS, train=False)

    def likelihood(x):
        logits = head.apply(variables, TOKENS._replace(tokens=x), train=False)
        log_probs = jax.nn.log_softmax(logits, axis=1)
        return log_probs[1, 0, 0] + log_probs[1, 1, 1], log_probs

    (_, log_probs), grads = jax.value_and_grad(likelihood, has_aux=True)(X)
    probs = np.exp(np.asarray(log_probs))
    assert (probs[1, 2:] == 0).all() and (probs[1, :2] > 0).all() and (probs[0] > 0).all()
    np.testing.assert_allclose(probs.sum(1), 1.0, rtol=1e-5)
    assert np.isfinite(grads).all() and (grads[1, 2:] == 0).all() and (grads[1, :2] != 0).all()


@pytest.mark.parametrize("head", [nets.heads.Token(5), nets.heads.Span()])
def test_features_without_tokens_are_refused(head):
    rule = rf"{type(head).__name__}.features must be of type tokens or sequence .*, not 'vector'"
    with pytest.raises(BadInput, match=rule):
        head.init(KEY, X[:, 0], train=False)


def test_a_head_of_one_token_reads_every_trunk_with_tokens():
    bert = nets.BERT(10, width=4, depth=1, heads=1, hidden=4, places=6, features="tokens")
    vit = nets.ViT(4, 1, 1, patch=2, features="tokens", prompts=nets.Prompts(3))
    for trunk, x, length in (
        (bert, jax.ShapeDtypeStruct((2, 5), jnp.int32), 5),
        (vit, jax.ShapeDtypeStruct((2, 4, 6, 3), jnp.float32), 6),
    ):

        def outputs(x, trunk=trunk):
            features, _ = trunk.init_with_output(KEY, x, train=False)
            return nets.heads.Token(7).init_with_output(KEY, features, train=False)[0]

        assert jax.eval_shape(outputs, x).shape == (2, length, 7)
