"""CutMix consistency: targets are cut as the images were, and weighted by their confidence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import CutMixConsistency
from mtl_jax.consistency.ict import TEACHER
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import view_key
from tests.consistency.seen import seen

METHOD = CutMixConsistency(threshold=0.7)
TAUGHT = np.array([[0.8, 0.2], [0.4, 0.6], [0.1, 0.9]], np.float32)
SAID = np.array([[0.5, 0.5], [0.1, 0.9], [0.3, 0.7]], np.float32)
# Pixel 0 is of image 1, and the others are their own.
DRAWN = MixParams(np.array([1, 2, 0], np.int32), np.array([0.0, 1.0, 1.0], np.float32))

update = jax.jit(CutMixConsistency.update, static_argnums=0)


def run(method=METHOD, taught=TAUGHT, said=SAID, params=DRAWN):
    view = view_key(method.mixed_view)
    logits = {view_key(TEACHER): jnp.log(taught), view: jnp.log(said)}
    views = seen(method, 0)._replace(logits=logits, view_params={view: params})
    return update(method, views, ())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # By hand: targets (.4, .6), (.4, .6), (.1, .9), of which the last is confident.
        ({}, [0.02 / 3, 0.18 / 3, 0.08 / 3]),
        ({"confidence": "position"}, [0.0, 0.0, 0.08]),
        ({"threshold": 0.5}, [0.02, 0.18, 0.08]),
        (
            {"confidence": "position", "divergence": "cross_entropy"},
            [0.0, 0.0, -0.1 * np.log(0.3) - 0.9 * np.log(0.7)],
        ),
    ],
    ids=str,
)
def test_values_by_hand(settings, expected):
    loss, _, metrics = run(CutMixConsistency(**{"threshold": 0.7, **settings}))
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(metrics["mask_rate"], 1.0 if "threshold" in settings else 1 / 3)


def test_a_vector_of_outputs_is_weighted_by_the_fraction_of_each_image():
    params = DRAWN._replace(ratio=np.full(3, 0.25, np.float32))
    loss, _, metrics = run(params=params)
    # By hand: targets .25 * .8 + .75 * .4 = .5, .175 and .625 of the first class.
    wanted = 2 * np.array([0.0, 0.075, 0.325]) ** 2
    np.testing.assert_allclose(loss, wanted * metrics["mask_rate"], rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(metrics["mask_rate"], 2 / 3, rtol=1e-6)


def test_no_gradient_reaches_the_teacher():
    def total(taught, said):
        return run(METHOD, taught, said)[0].sum()

    grads = jax.grad(total, (0, 1))(TAUGHT, SAID)
    np.testing.assert_array_equal(grads[0], np.zeros_like(TAUGHT))
    assert (np.abs(grads[1]).sum(1) > 1e-6).all()


@pytest.mark.parametrize("student_view", ["weak", "strong"])
def test_it_asks_for_halves(student_view):
    teacher, mixed = CutMixConsistency(student_view=student_view).views
    assert teacher == TEACHER
    assert (mixed.view, mixed.area, mixed.probability) == (student_view, (0.5, 0.5), 1.0)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 2.0}, {"confidence": "x"}, {"divergence": "x"}, {"weight": -1.0}]
)
def test_bad_settings(wrong):
    with pytest.raises(BadInput, match=f"CutMixConsistency.{next(iter(wrong))} must"):
        CutMixConsistency(**wrong)
