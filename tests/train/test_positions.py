"""Positions of dense tasks as examples: what was cut is where it was cut."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment, data
from mtl_jax.config.run_groups import Augmentation
from mtl_jax.core.features import Tokens
from mtl_jax.core.views import CutMixView, MixedView, view_key
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train.positions import flatten_positions, token_sources
from mtl_jax.train.views import cut_view, mix_views
from tests import dense
from tests.consistency.seen import seen
from tests.laws.test_dense_methods import SAME
from tests.train.test_views import Watch

SHAPE = (9, 7)


class Words(nn.Module):
    """Features of tokens and the next ones; 0 is padding, whose features are a parameter."""

    @nn.compact
    def __call__(self, x, *, train):
        embedded = nn.Embed(5, 4)(x)
        tokens = nn.tanh(nn.Dense(4)(embedded) + nn.Dense(4)(jnp.roll(embedded, -1, 1)))
        padding = self.param("padding", nn.initializers.zeros, ())
        tokens = jnp.where(x[..., None] == 0, padding, tokens)
        return Tokens(tokens[:, 0], tokens, (x != 0).astype(jnp.float32))


def padded(count, seed):
    """Sentences of one to six tokens."""
    arrays = dense.sentences(count, seed)
    length = np.random.default_rng(seed).integers(1, 7, (count, 1))
    missing = np.arange(6) >= length
    return {
        "inputs": np.where(missing, 0, arrays["inputs"] % 4 + 1).astype(np.int32),
        "before": np.where(missing, -1, arrays["before"]).astype(np.int32),
    }


PADDED = dense.TOKENS.replace(
    data=data.Arrays(padded(24, 0), padded(8, 1), padded(8, 2)),
    tasks=dense.TOKENS.tasks[:1],
    trunk=Words(),
    augmentation=Augmentation(strong=augment.tokens.TokenMask(mask=4, probability=0.3)),
)


def flat(view, make):
    """Flattened inputs of an image and its mixture, which here are the outputs."""
    images = jnp.array(np.random.default_rng(0).random((6, *SHAPE, 4), np.float32))
    mixed, params = make(view, jax.random.key(0), {"strong": images})
    inputs = seen(Watch((view, "strong")), 0)._replace(
        logits={"strong": images, view_key(view): mixed},
        labels=jnp.zeros((4, *SHAPE), jnp.int32),
        mask=jnp.ones(4, bool),
        view_params={view_key(view): params},
    )
    found = flatten_positions("task", inputs, {})
    return found.logits["strong"], found.logits[view_key(view)], found.view_params[view_key(view)]


def test_a_cut_pixel_has_the_ratio_of_its_place():
    for view, make in (
        (CutMixView("strong", (0.3, 0.6), probability=1.0), cut_view),
        (MixedView(("strong",), kind="cutmix"), mix_views),
    ):
        own, mixed, (partner, ratio, _) = flat(view, make)
        assert set(np.unique(ratio)) == {0.0, 1.0} and len(ratio) == 6 * 9 * 7
        np.testing.assert_array_equal(
            mixed, np.where(np.asarray(ratio)[:, None], own, own[partner])
        )


def test_a_mixed_pixel_has_the_ratio_of_its_image():
    own, mixed, (partner, ratio, _) = flat(MixedView(("strong",)), mix_views)
    share = np.asarray(ratio)[:, None]
    np.testing.assert_allclose(mixed, share * own + (1 - share) * own[partner], atol=1e-6)
    assert len(np.unique(ratio)) == 6


def test_padding_repeats_the_tokens_in_turn():
    mask = jnp.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]], bool)
    found = token_sources(mask)
    expected = [[0, 1, 0, 1, 0], [0, 1, 2, 3, 4], [1, 1, 3, 3, 4], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(found, expected)
    labelled = token_sources(mask, jnp.zeros_like(mask).at[0, 4].set(True))
    np.testing.assert_array_equal(labelled[0], [0, 1, 0, 1, 4])


def test_stored_predictions_are_of_the_same_tokens():
    outputs = jnp.array(np.random.default_rng(0).random((6, 5, 4), np.float32))
    mask = jnp.arange(5)[None] < jnp.arange(1, 7)[:, None]
    inputs = seen(Watch(("strong",)), 0)._replace(
        logits={"strong": outputs, "stored": outputs}, labels=jnp.zeros((4, 5), jnp.int32)
    )
    features = {"strong": Tokens(outputs[:, 0], outputs, mask.astype(jnp.float32))}
    found = flatten_positions("task", inputs, features)
    np.testing.assert_array_equal(found.logits["strong"], found.logits["stored"])
    np.testing.assert_array_equal(found.logits["strong"], found.features["strong"])
    expected = np.concatenate([outputs[i, np.arange(5) % (i + 1)] for i in range(6)])
    np.testing.assert_array_equal(found.logits["strong"], expected)


METHODS = {
    name: SAME[name] for name in ("FixMatch", "FreeMatch", "FlexMatch", "SoftMatch", "MeanTeacher")
}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_outputs_at_padding_do_not_matter(method):
    """Parameters and states are the same after steps that begin with any features of padding."""
    run = PADDED.replace(tasks=(PADDED.tasks[0].replace(auxiliary=method),))
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train, jax.devices()[:1])
    start, found = made.init(None), []
    for value in (0.0, 5.0):
        other = jax.tree.map(jnp.copy, start)
        for params in (other.params, other.ema):
            params["shared"]["padding"] += value
        state, measured = made.train_steps(other, made.put_data(prepared.train), 2)
        assert measured["unlabelled_loss/before"].max() > 0.0
        for params in (state.params, state.ema):
            np.testing.assert_allclose(params["shared"].pop("padding"), value, rtol=1e-6)
        found.append(jax.tree.leaves((state.params, state.ema, state.aux_state)))
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)
