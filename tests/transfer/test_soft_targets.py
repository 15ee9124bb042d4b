"""Distillation as a method: the function of what was stored, and in a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment, train
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import Stored, name_of
from mtl_jax.transfer import Distillation, distillation
from tests.small import ROW
from tests.transfer.sights import RUNS, felt, trained


@pytest.mark.parametrize("view", ["weak", "strong"])
@pytest.mark.parametrize("by", ["ema", "raw"])
def test_it_is_the_function_of_what_was_stored(view, by):
    method = Distillation(9.0, temperature=2.0, view=view, by=by)
    sight, stored = felt(method, 0), name_of(Stored(by))

    def own(logits):
        return method.update(sight._replace(logits=logits), ())[0].mean()

    loss, slopes = jax.jit(jax.value_and_grad(own))(sight.logits)
    wanted, slope = jax.value_and_grad(
        lambda z: distillation(z, sight.logits[stored], 2.0).mean()
    )(sight.logits[view])  # fmt: skip
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    np.testing.assert_allclose(slopes[view], slope, rtol=1e-4, atol=1e-7)
    assert np.abs(slope).max() > 0 and not np.any(slopes[stored])


@pytest.mark.parametrize(
    ("field", "value"), [("weight", -1.0), ("temperature", 0.0), ("view", "labelled"), ("by", "it")]
)
def test_what_is_refused(field, value):
    with pytest.raises(BadInput, match=rf"Distillation\.{field} must"):
        Distillation(**{"weight": 1.0, field: value})


def test_in_a_run_the_teacher_is_followed():
    """A teacher that always says class 2: the more it weighs, the nearer."""
    teacher = RUNS.but(name="teacher", source=None)
    outputs = jnp.tile(jnp.array([0.0, 0.0, 4.0]), (1, 96, 1))
    stored = {"row": train.Taught(outputs, jnp.ones((1, 96)))}

    def said(weight):
        task = ROW.but(consistency=Distillation(weight))
        run = RUNS.but(tasks=(task,), source=None, teachers=(teacher,), strong=augment.Cutout(2))
        return trained(run, None, 6, stored)[1]["unlabelled_loss/row"]

    assert said(5.0) < 0.8 * said(0.0)
