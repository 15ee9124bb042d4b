"""BERT: published sizes, padding, what is pooled, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.fingerprint import fingerprint, to_source
from mtl_jax.core.tree import leaf_paths, num_params
from mtl_jax.core.validation import BadInput
from tests.nets.through import QUICK, through

SMALL = nets.BERT(vocabulary=10, width=8, depth=2, heads=2, hidden=16, places=6)
MEAN = SMALL.clone(pooling="mean")
TEXTS = jnp.array([[3, 1, 4, 1, 5], [9, 2, 0, 0, 0], [0, 0, 0, 0, 0]], jnp.int32)


def said(trunk, x):
    """What the trunk says, with parameters of the same draw for every text."""

    def both(x):
        params = trunk.init(jax.random.key(0), x.astype(jnp.float32), train=False)
        return params, trunk.apply(params, x, train=False)

    return jax.device_get(jax.jit(both, compiler_options=QUICK)(x))


@pytest.mark.parametrize(
    ("trunk", "count"),
    [
        (nets.BERT(), 109_482_240),  # transformers' BertModel of bert-base-uncased
        # The file of all-MiniLM-L6-v2 has 22,713,216, with a pooler of 384 * 385.
        (nets.BERT(width=384, depth=6, hidden=1536, pooling="mean"), 22_713_216 - 384 * 385),
    ],
    ids=["base", "minilm"],
)
def test_published_sizes(trunk, count):
    x = jax.ShapeDtypeStruct((1, 7), jnp.int32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    shapes = jax.eval_shape(functools.partial(trunk.init, train=False), key, x)
    assert num_params(shapes["params"]) == count and f"{count:,}" in nets.BERT.__doc__


@pytest.mark.slow
def test_padding_is_as_if_it_were_not_there():
    for trunk in (SMALL, MEAN):
        _, features = said(trunk, TEXTS)
        _, short = said(trunk, TEXTS[1:2, :2])
        np.testing.assert_allclose(features[1:2], short, rtol=1e-4, atol=1e-5)
        assert np.isfinite(features).all()


@pytest.mark.slow
def test_what_is_pooled():
    _, (summary, tokens, mask) = said(MEAN.clone(features="tokens"), TEXTS)
    _, mean = said(MEAN, TEXTS)
    np.testing.assert_array_equal(summary, mean)
    np.testing.assert_array_equal(mask, TEXTS != 0)
    assert tokens.shape == (3, 5, 8)
    for row, count, got in zip(tokens, (5, 2, 5), mean, strict=True):
        wanted = row[:count].mean(0)
        np.testing.assert_allclose(got, wanted / np.linalg.norm(wanted), rtol=1e-4, atol=1e-6)
    params, first = said(SMALL, TEXTS)
    pooler = params["params"]["pooler"]
    wanted = np.tanh(tokens[:, 0] @ pooler["kernel"] + pooler["bias"])
    np.testing.assert_allclose(first, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_tokens_are_normalized_last():
    _, (_, tokens, _) = said(SMALL.clone(features="tokens"), TEXTS)
    np.testing.assert_allclose(tokens.mean(-1), 0.0, atol=1e-5)
    np.testing.assert_allclose(tokens.var(-1), 1.0, rtol=1e-4)


@pytest.mark.slow
def test_another_pad_and_a_token_that_is_none():
    _, other = said(MEAN.clone(pad=9), TEXTS)
    assert not np.allclose(other[1], said(MEAN, TEXTS)[1][1])
    _, wrong = said(SMALL, TEXTS.at[0, 0].set(10))
    assert np.isnan(wrong[0]).all() and np.isfinite(wrong[1]).all()


@pytest.mark.parametrize("trunk", [SMALL, MEAN], ids=["class", "mean"])
def test_everything_that_is_read_learns(trunk):
    seen = through.__wrapped__(trunk.clone(depth=1), TEXTS)  # an array is no key of its cache
    assert seen.stats == {} and not trunk.convolutional
    grads = dict(zip(leaf_paths(seen.params), jax.tree.leaves(seen.grads["row"]), strict=True))
    assert all(np.isfinite(leaf).all() for leaf in grads.values())
    still = {path for path, leaf in grads.items() if not (leaf != 0).any()}
    heads = {f"tasks/heads/task/{leaf}" for leaf in ("bias", "kernel")}
    # A shift of all keys changes nothing, but for rounding.
    assert heads <= still <= heads | {"shared/block0/attention/key/bias"}
    assert ("shared/pooler/kernel" in grads) == (trunk is SMALL)
    assert (grads["shared/embed/token"][7] == 0).all()  # of a token that is nowhere
    assert (grads["shared/embed/type"][1] == 0).all()


def test_text_makes_it_again():
    trunk = MEAN.clone(adapter=nets.Adapter(2))
    again = eval(to_source(trunk), dict(vars(nets)))
    assert again == trunk and fingerprint(again) == fingerprint(trunk)


def test_bad_settings_and_texts_are_refused():
    with pytest.raises(BadInput, match=r"BERT.pooling must be one of \('class', 'mean'\)"):
        nets.BERT(pooling="max")
    with pytest.raises(BadInput, match=r"BERT.vocabulary must be at least 1, not 0"):
        nets.BERT(vocabulary=0)
    with pytest.raises(BadInput, match=r"BERT.pad must be at least 0, not -1"):
        nets.BERT(pad=-1)
    for shape in ((1, 7), (1, 4, 4, 3)):
        with pytest.raises(BadInput, match=r"BERT.x must be texts \[N, T\] of at most 6 tokens"):
            SMALL.init(jax.random.key(0), jnp.zeros(shape), train=False)
