"""Consistency of numbers: values by hand, the ramp, the recipes' views, and settings."""

import jax
import numpy as np
import pytest

from mtl_jax.consistency import MatchRegression, MeanTeacherRegression, PiModelRegression
from mtl_jax.core.views import SeparatePass
from tests.consistency.seen import seen

WEAK = np.array([[1.0, 2.0], [0.0, -1.0]], np.float32)
WEAK2 = np.array([[2.0, 2.0], [0.0, 3.0]], np.float32)
update = jax.jit(MatchRegression.update, static_argnums=0)


def sight(progress=1.0):
    logits = {"weak": WEAK, "weak2": WEAK2}
    return seen(MatchRegression(), 0)._replace(logits=logits, progress=np.float32(progress))


def test_squared_error_of_both_views():
    loss, _, metrics = update(MatchRegression(), sight(), ())
    np.testing.assert_allclose(loss, [0.5, 8.0])  # by hand: 1/2 and 16/2.
    assert metrics["mask_rate"] == 1.0


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.2, 0.5), (0.4, 1.0), (0.9, 1.0)])
def test_the_loss_grows(progress, share):
    loss, *_ = update(MatchRegression(ramp=0.4), sight(progress), ())
    np.testing.assert_allclose(loss, share * np.array([0.5, 8.0]), rtol=1e-6)  # by hand.


def test_the_source_stays():
    def total(weak, weak2):
        now = sight()._replace(logits={"weak": weak, "weak2": weak2})
        return MatchRegression().update(now, ())[0].sum()

    grads = jax.jit(jax.grad(total, (0, 1)))(WEAK, WEAK2)
    np.testing.assert_array_equal(grads[0], np.zeros_like(WEAK))
    np.testing.assert_allclose(grads[1], WEAK2 - WEAK)  # by hand: 2/D times it.


def test_pixels_are_averaged():
    def wide(array):
        return np.repeat(array[:, None], 3, 1)

    many = sight()._replace(logits={"weak": wide(WEAK), "weak2": wide(WEAK2)})
    np.testing.assert_allclose(update(MatchRegression(), many, ())[0], [0.5, 8.0])


def test_recipes_ask_for_what_the_papers_have():
    assert PiModelRegression().views == ("weak", "weak2")
    frozen = PiModelRegression(freeze_statistics=True)
    assert frozen.views == (SeparatePass(("weak",), "frozen_student"), SeparatePass(("weak2",)))
    assert MeanTeacherRegression().views == (SeparatePass(("weak",), "teacher"), "weak2")
