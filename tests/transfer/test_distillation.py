"""Distillation: values by hand, the role of the temperature, where gradients stop, and in a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment, train
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import TeacherView, view_key
from mtl_jax.transfer import Distillation, distillation, lwf
from tests.small import ROW
from tests.transfer.sights import RUNS, felt, trained

LOSSES = [distillation, lwf]
STUDENT, TEACHER = jnp.array([[0.0, 0.0]]), 2.0 * jnp.log(jnp.array([[0.75, 0.25]]))
DIVERGENCE = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)  # by hand: at T = 2


def test_value(variant):
    found = variant(lambda s, t: distillation(s, t, temperature=2.0))(STUDENT, TEACHER)
    np.testing.assert_allclose(found, [4.0 * DIVERGENCE], rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 4)], ids=str)
def test_equal_logits_cost_nothing_in_any_leading_shape(loss, shape):
    logits = jax.random.normal(jax.random.key(0), shape)
    np.testing.assert_array_equal(loss(logits, logits), jnp.zeros(shape[:-1]))


@pytest.mark.parametrize("loss", LOSSES)
def test_shifts_of_the_logits_do_not_count(loss):
    np.testing.assert_allclose(
        loss(STUDENT + 3.0, TEACHER - 5.0), loss(STUDENT, TEACHER), rtol=1e-5
    )


def test_the_gradient_at_a_high_temperature_does_not_depend_on_it():
    def slope(temperature):
        return jax.grad(lambda z: distillation(z, TEACHER, temperature).sum())(STUDENT)

    np.testing.assert_allclose(slope(100.0), slope(200.0), rtol=1e-2)
    # By hand (Section 2 of the paper): (z - t) / C of centred logits.
    np.testing.assert_allclose(slope(200.0), (STUDENT - TEACHER + TEACHER.mean()) / 2, rtol=1e-2)


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_flows_into_the_teacher(loss):
    slopes = jax.grad(lambda s, t: loss(s, t).sum(), (0, 1))(STUDENT, TEACHER)
    assert slopes[0].any() and not slopes[1].any()


@pytest.mark.parametrize("loss", LOSSES)
def test_extreme_logits_have_finite_gradients(loss):
    slope = jax.grad(lambda z: loss(z, -z).sum())(jnp.array([[1e4, -1e4]]))
    assert jnp.isfinite(slope).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_what_it_refuses(loss):
    with pytest.raises(ValueError, match="logits"):
        loss(STUDENT, jnp.zeros((1, 3)))
    with pytest.raises(BadInput, match="temperature must be above 0"):
        loss(STUDENT, TEACHER, temperature=0.0)


@pytest.mark.parametrize("view", ["weak", "strong"])
@pytest.mark.parametrize("by", ["ema", "raw"])
def test_it_is_the_function_of_what_was_stored(view, by):
    method = Distillation(9.0, temperature=2.0, view=view, params=by)
    sight, stored = felt(method, 0), view_key(TeacherView(by))

    def own(logits):
        return method.update(sight._replace(logits=logits), ())[0].mean()

    loss, slopes = jax.jit(jax.value_and_grad(own))(sight.logits)
    wanted, slope = jax.value_and_grad(
        lambda z: distillation(z, sight.logits[stored], 2.0).mean()
    )(sight.logits[view])  # fmt: skip
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    np.testing.assert_allclose(slopes[view], slope, rtol=1e-4, atol=1e-7)
    assert np.abs(slope).max() > 0 and not np.any(slopes[stored])


def test_in_a_run_the_teacher_is_followed():
    """A teacher that always says class 2: the more it weighs, the nearer."""
    teacher = RUNS.replace(name="teacher", initialization={"init_from": None})
    outputs = jnp.tile(jnp.array([0.0, 0.0, 4.0]), (1, 96, 1))
    stored = {"row": train.TeacherPredictions(outputs, jnp.ones((1, 96)))}

    def said(weight):
        task = ROW.replace(auxiliary=Distillation(weight))
        run = RUNS.replace(
            tasks=(task,),
            initialization={"init_from": None},
            labels={"teachers": (teacher,)},
            augmentation={"strong": augment.Cutout(2)},
        )
        return trained(run, None, 6, stored)[1]["unlabelled_loss/row"]

    assert said(5.0) < 0.8 * said(0.0)
