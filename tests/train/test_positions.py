"""Positions of dense tasks as examples: what was cut is where it was cut."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.core.views import CutMixView, MixedView, view_key
from mtl_jax.train.positions import flatten_positions
from mtl_jax.train.views import cut_view, mix_views
from tests.consistency.seen import seen
from tests.train.test_views import Watch

SHAPE = (9, 7)


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
