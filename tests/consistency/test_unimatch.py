"""UniMatch: three streams learn from the weak view, whose labels are cut as the images are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import UniMatch
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import CutMixView, FeatureDropoutView, view_key
from tests.consistency.seen import seen

METHOD = UniMatch(threshold=0.7)
FIRST, SECOND, DROPPED = map(view_key, METHOD.views[1:])
WEAK = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], np.float32)  # The second is not confident.
SAID = np.array([[0.5, 0.5], [0.25, 0.75], [0.6, 0.4]], np.float32)
PARTNER = np.array([2, 0, 1], np.int32)
OWN, OTHER, HALF = (np.full(3, value, np.float32) for value in (1.0, 0.0, 0.5))

update = jax.jit(UniMatch.update, static_argnums=0)


def run(ratios=(OWN, OWN), method=METHOD, weak=WEAK, said=(SAID, SAID, SAID)):
    logits = {v: jnp.log(p) for v, p in zip((FIRST, SECOND, DROPPED), said, strict=True)}
    views = seen(method, 0)._replace(
        logits={"weak": jnp.log(weak), **logits},
        view_params={
            v: MixParams(PARTNER, r) for v, r in zip((FIRST, SECOND), ratios, strict=True)
        },
    )
    return update(method, views, ())


def cross_entropy(*classes):
    """Of `SAID` with a class each; none is no loss."""
    return np.array(
        [0.0 if c is None else -np.log(q[c]) for q, c in zip(SAID, classes, strict=True)]
    )


# By hand: the labels are 0, none and 1, and those of the partners 1, 0 and none.
MINE, THEIRS = cross_entropy(0, None, 1), cross_entropy(1, 0, None)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ((OWN, OWN), MINE),
        ((OTHER, OTHER), 0.5 * THEIRS + 0.5 * MINE),
        ((OTHER, OWN), 0.25 * THEIRS + 0.75 * MINE),
        ((HALF, OWN), 0.125 * THEIRS + 0.875 * MINE),
    ],
    ids=["whole", "partners", "one of two", "half"],
)
def test_values_by_hand(ratios, expected):
    loss, _, metrics = run(ratios)
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(metrics["mask_rate"], 2 / 3, rtol=1e-6)


def test_weights():
    method = UniMatch(threshold=0.7, strong_weight=2.0, feature_weight=0.0)
    loss, *_ = run((OTHER, OWN), method)
    np.testing.assert_allclose(loss, THEIRS + MINE, rtol=1e-5)


def test_pixels_of_a_map_are_outputs_of_their_own():
    """Two by two copies of an output, of which the rectangle has one."""
    wide = [np.broadcast_to(p[:, None, None], (3, 2, 2, 2)) for p in (WEAK, SAID)]
    cut = np.ones((3, 2, 2), np.float32)
    cut[:, 0, 1] = 0.0
    params = MixParams(PARTNER, cut.mean((1, 2)), jnp.array(cut))
    views = seen(METHOD, 0)._replace(
        logits={"weak": jnp.log(wide[0])} | {v: jnp.log(wide[1]) for v in (FIRST, SECOND, DROPPED)},
        view_params={FIRST: params, SECOND: params},
    )
    loss, *_ = update(METHOD, views, ())
    np.testing.assert_allclose(
        loss, 0.5 * (0.25 * THEIRS + 0.75 * MINE) + 0.5 * MINE, rtol=1e-5, atol=1e-7
    )


def test_no_gradient_reaches_the_weak_view():
    def total(weak, *said):
        return run((HALF, OTHER), weak=weak, said=said)[0].sum()

    grads = jax.grad(total, (0, 1, 2, 3))(WEAK, SAID, SAID, SAID)
    np.testing.assert_array_equal(grads[0], np.zeros_like(WEAK))
    assert all(np.abs(each).sum() > 0 for each in grads[1:])


def test_views():
    assert METHOD.views == (
        "weak",
        CutMixView("strong"),
        CutMixView("strong2"),
        FeatureDropoutView("weak", 0.5),
    )
    assert UniMatch(cutmix=0.0, dropout=0.1).views == (
        "weak",
        "strong",
        "strong2",
        FeatureDropoutView("weak", 0.1),
    )


@pytest.mark.parametrize("wrong", [{"threshold": 1.5}, {"dropout": 1.0}, {"cutmix": -0.1}])
def test_bad_settings(wrong):
    with pytest.raises(BadInput, match=f"UniMatch.{next(iter(wrong))} must"):
        UniMatch(**wrong)
