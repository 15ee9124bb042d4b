"""MultiLabel: values by hand, missing labels, single labels, and what it refuses."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax.consistency import (
    AdaMatch,
    DistributionAlignment,
    FixMatch,
    FlexMatch,
    Match,
    MatchRegression,
    MultiLabel,
    PiModel,
)
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import AdversarialView
from tests.consistency.seen import seen

WEAK = np.array([[4.0, -1.0], [-4.0, 5.0]], np.float32)  # sure: yes no-idea, no yes
STRONG = np.array([[0.0, 2.0], [1.0, -1.0]], np.float32)
update = jax.jit(MultiLabel.update, static_argnums=0)


def sight(method, **changes):
    logits = {"weak": WEAK, "strong": STRONG, "labelled": np.zeros((4, 2), np.float32)}
    return seen(method, 0)._replace(logits=logits, **changes)


def test_fixmatch_of_two_labels():
    method = MultiLabel(FixMatch(0.95))
    labels = np.zeros((4, 2), np.float32)
    state = method.init(DatasetSizes(2, 20, 20))
    loss, _, metrics = update(method, sight(method, labels=labels), state)
    wanted = [np.log(2.0) / 2.0, (np.log1p(np.exp(1.0)) + np.log1p(np.exp(1.0))) / 2.0]  # by hand.
    np.testing.assert_allclose(loss, wanted, rtol=1e-6)
    assert metrics["mask_rate"] == 0.75


def test_each_label_has_counts_of_its_own():
    method = MultiLabel(FlexMatch(0.95))
    labels = np.zeros((4, 2), np.float32)
    index = np.array([3, 5], np.int32)
    state = method.init(DatasetSizes(2, 20, 20))
    _, state, _ = update(method, sight(method, labels=labels, unlabelled_index=index), state)
    np.testing.assert_array_equal(state.mask.count, [[1, 1], [0, 1]])  # by hand: of no and yes.
    np.testing.assert_array_equal(state.mask.label[:, [3, 5]], [[1, 0], [-1, 1]])


def test_a_missing_label_is_missing_for_that_label_only():
    """Running shares of labels: 1 of 2 known is yes for the first label, 2 of 3 for the second."""
    method = MultiLabel(Match(align=DistributionAlignment("labels", 0.0)))
    nan = np.nan
    labels = np.array([[1, 1], [0, 1], [nan, 0], [1, 1]], np.float32)
    mask = np.array([True, True, True, False])
    state = method.init(DatasetSizes(2, 20, 20))
    _, state, _ = update(method, sight(method, labels=labels, mask=mask), state)
    wanted = [[1 / 2, 1 / 2], [1 / 3, 2 / 3]]  # by hand.
    np.testing.assert_allclose(state.align.target, wanted, rtol=1e-6)


def test_a_single_label_may_have_no_axis():
    method = MultiLabel(Match(align=DistributionAlignment("labels", 0.0)))
    state = method.init(DatasetSizes(1, 20, 20))
    one = {name: logits[:, :1] for name, logits in sight(method).logits.items()}
    labels = np.array([1, 0, 0, 0], np.float32)
    found = [
        update(method, sight(method, labels=own)._replace(logits=one), state)
        for own in (labels, labels[:, None])
    ]
    jax.tree.map(np.testing.assert_array_equal, *found)
    np.testing.assert_allclose(found[0][1].align.target, [[0.75, 0.25]], rtol=1e-6)  # by hand.


def test_every_pixel_is_an_output_of_its_own():
    method = MultiLabel(FixMatch(0.7))
    labels = np.zeros((4, 2), np.float32)
    state = method.init(DatasetSizes(2, 20, 20))
    plain, *_ = update(method, sight(method, labels=labels), state)
    wide = {name: np.repeat(z[:, None], 3, 1) for name, z in sight(method).logits.items()}
    many = sight(method, labels=np.repeat(labels[:, None], 3, 1))._replace(logits=wide)
    loss, *_ = update(method, many, state)
    np.testing.assert_allclose(loss, plain, rtol=1e-6)


def test_integers_are_labels_as_floats_are():
    method = MultiLabel(Match(align=DistributionAlignment("labels", 0.0)))
    state = method.init(DatasetSizes(1, 20, 20))
    one = {name: logits[:, :1] for name, logits in sight(method).logits.items()}
    mask = np.array([True, True, True, False])
    found = [
        update(method, sight(method, labels=own, mask=mask)._replace(logits=one), state)[1]
        for own in (np.array([1, 0, 0, -1], np.int32), np.array([1, 0, 0, np.nan], np.float32))
    ]
    jax.tree.map(np.testing.assert_array_equal, *found)
    np.testing.assert_allclose(found[0].align.target, [[2 / 3, 1 / 3]], rtol=1e-6)  # by hand.


@dataclasses.dataclass(frozen=True)
class WithHeads(Match):
    """A method with heads of its own."""

    def aux_heads(self, num_classes):
        return {"own": AuxHead(num_classes)}


@dataclasses.dataclass(frozen=True)
class WithPrecompute(Match):
    """A method that precomputes something before the first step."""

    def precompute(self, source):
        return ()


@pytest.mark.parametrize(
    ("method", "rule"),
    [
        (AdaMatch(), "no labelled loss"),
        (WithHeads(), "no labelled loss, heads"),
        (WithPrecompute(), "no labelled loss, heads or precomputation"),
        (MatchRegression(), "for classes"),
        (MultiLabel(PiModel()), "for classes"),
        (Match(student_view=AdversarialView()), "adversary of classes"),
    ],
)
def test_what_does_not_fit_is_refused(method, rule):
    with pytest.raises(BadInput, match=rf"MultiLabel\.method must .*{rule}"):
        MultiLabel(method)
