"""Recipes: what papers are put together of, and what is special to some of them."""

import jax
import numpy as np
import pytest

from mtl_jax import consistency
from mtl_jax.consistency import (
    FlexMatch,
    MeanTeacher,
    NoisyStudent,
    PiModel,
    PseudoLabel,
    SoftMatch,
    fixmatch,
)
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.views import SeparatePass, TeacherView, view_key
from tests.consistency.seen import C, N, U, seen

SIZES = DatasetSizes(C, N, N)


def stepped(method, views, state=None):
    state = method.init(SIZES) if state is None else state
    return jax.jit(method.update)(views, state)


def test_fixmatch_is_its_function():
    method = consistency.FixMatch(0.5)
    views = seen(method, 3)
    loss, _, metrics = stepped(method, views)
    wanted, mask = fixmatch(views.logits["strong"], views.logits["weak"], threshold=0.5)
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    assert metrics["mask_rate"] == np.mean(mask) and 0 < np.mean(mask) < 1


@pytest.mark.parametrize("method", [PseudoLabel(0.3), PiModel(), MeanTeacher()], ids=repr)
def test_the_loss_grows_with_the_ramp(method):
    views = seen(method, 0)
    losses = [
        stepped(method, views._replace(progress=np.float32(p)))[0].mean() for p in (0.1, 0.2, 0.9)
    ]
    np.testing.assert_allclose(losses[1], 2 * losses[0], rtol=1e-5)
    np.testing.assert_allclose(losses[2], 4 * losses[0], rtol=1e-5)  # over after 0.4.


def test_statistics_may_be_left_alone():
    assert PseudoLabel(freeze_statistics=True).views == (SeparatePass(("weak",)),) * 2
    assert PiModel(freeze_statistics=True).views == (
        SeparatePass(("weak",), "frozen_student"),
        SeparatePass(("weak2",)),
    )


def test_mean_teacher_follows_the_average():
    """The gradient is that of the squared error from the teacher, and not zero."""
    method = MeanTeacher(ramp=0.0)
    views = seen(method, 1)
    teacher = jax.nn.softmax(views.outputs(SeparatePass(("weak",), "teacher")))
    wanted = np.square(jax.nn.softmax(views.outputs("weak2")) - teacher).mean(-1)
    np.testing.assert_allclose(stepped(method, views)[0], wanted, rtol=1e-5)


def test_flexmatch_lowers_the_threshold_of_slow_classes():
    """By hand: of ten, 5 are sure of class 0 and 1 of class 1: b = 1/5, T = 0.9 / 9 = 0.1."""
    mask = FlexMatch(0.9, warm_up=False).mask
    state = mask.init(DatasetSizes(2, 10, 0))
    label = np.array([0, 0, 0, 0, 0, 1, -1, -1, -1, -1], np.int32)
    state = state._replace(label=label, count=np.array([5, 1], np.int32))
    np.testing.assert_allclose(mask.status(state), [1.0, 0.2], rtol=1e-6)
    warm = FlexMatch(0.9).mask
    state = state._replace(label=np.where(np.arange(10) < 2, label, -1), count=np.array([2, 0]))
    np.testing.assert_allclose(warm.status(state), [0.25, 0.0], rtol=1e-6)  # 8 were never sure.


def test_softmatch_weighs_by_both_kinds_of_moments():
    views = seen(SoftMatch(), 2)
    raw, aligned = (stepped(SoftMatch(0.5, moments=m), views) for m in ("raw", "aligned"))
    assert raw[1].mask.mean != aligned[1].mask.mean
    confidence = np.asarray(jax.nn.softmax(views.logits["weak"]).max(-1))
    np.testing.assert_allclose(raw[1].mask.mean, (1 / C + confidence.mean()) / 2, rtol=1e-5)
    np.testing.assert_allclose(raw[1].mask.variance, (1 + confidence.var(ddof=1)) / 2, rtol=1e-5)


def test_a_student_learns_what_was_stored_and_chosen():
    view = TeacherView(per_class=2)
    method = NoisyStudent(threshold=0.0, per_class=2)
    views = seen(method, 4)
    weights = np.array([1, 0, 2, 0, 1, 0], np.float32)
    views = views._replace(view_params={view_key(view): weights})
    loss, _, _ = stepped(method, views)
    teacher = jax.nn.softmax(views.outputs(view))
    each = -(teacher * jax.nn.log_softmax(views.outputs("strong"))).sum(-1)
    np.testing.assert_allclose(loss, weights * each, rtol=1e-5)
    assert len(loss) == U
    hard, _, _ = stepped(NoisyStudent(soft_labels=False), seen(NoisyStudent(soft_labels=False), 4))
    assert not np.allclose(hard, each)
