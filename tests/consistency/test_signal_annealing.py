"""Training signal annealing: which labelled examples count, as the training goes on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import UDA, DeFixMatch, FixMatch, Match, MatchRegression, SignalAnnealing
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.validation import BadInput
from mtl_jax.losses import cross_entropy
from tests.consistency.seen import B, C, N, seen

METHOD = UDA(schedule="linear")
SIZES = DatasetSizes(C, N, N)
supervised = jax.jit(SignalAnnealing.labelled_loss, static_argnums=(0, 2))
# Probabilities of class 0: 0.97, 0.40, 0.25 (all alike) and 0.10, all labelled 0.
PROBABILITIES = np.array([[0.97, 0.01, 0.01, 0.01], [0.4, 0.2, 0.2, 0.2], [0.25] * 4,
                          [0.1, 0.3, 0.3, 0.3]], np.float32)  # fmt: skip


def sight(progress, mask=(True,) * B):
    views = seen(METHOD, 0)
    return views._replace(
        logits={**views.logits, "labelled": np.log(PROBABILITIES)},
        labels=np.zeros(B, np.int32),
        mask=np.array(mask),
        progress=np.float32(progress),
    )


@pytest.mark.parametrize(
    ("progress", "counts"),
    # The limit is a + (1 - a) / 4, by hand: 0.25 at first, then 0.46 and 1.
    [(0.01, [2, 3]), (0.28, [1, 2, 3]), (1.0, [0, 1, 2, 3])],
)
def test_known_examples_wait(progress, counts):
    wanted = -np.log(PROBABILITIES[counts, 0]).mean()
    found = supervised(METHOD, sight(progress), cross_entropy, ())
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_missing_labels_never_count():
    found = supervised(METHOD, sight(1.0, (False, True, False, False)), cross_entropy, ())
    np.testing.assert_allclose(found, -np.log(0.4), rtol=1e-5)
    assert supervised(METHOD, sight(1.0, (False,) * B), cross_entropy, ()) == 0.0


@pytest.mark.parametrize(
    ("schedule", "half"),
    [("linear", 0.5), ("exp", np.exp(-2.5)), ("log", 1 - np.exp(-2.5))],
)
def test_schedules(schedule, half):
    factor = SignalAnnealing(schedule=schedule).annealing_factor
    np.testing.assert_allclose(factor(jnp.float32(0.5)), half, rtol=1e-6)
    np.testing.assert_allclose(factor(jnp.float32(1.0)), 1.0, atol=0.01)


def test_the_unlabelled_loss_is_the_methods_own():
    method = SignalAnnealing(FixMatch(0.4, weight=3.0))
    views = seen(method, 1)
    found, _, _ = method.update(views, method.init(SIZES))
    wanted, _, _ = FixMatch(0.4).update(views, FixMatch(0.4).init(SIZES))
    np.testing.assert_array_equal(found, wanted)
    assert method.weight == 3.0 and method.views == ("labelled", "weak", "strong")


def test_what_has_a_labelled_loss_itself_is_refused():
    rule = r"SignalAnnealing\.method must have no labelled loss of its own"
    with pytest.raises(BadInput, match=rule):
        SignalAnnealing(DeFixMatch())
    with pytest.raises(BadInput, match=r"SignalAnnealing\.schedule must be one of"):
        UDA(schedule="cosine")


class WithHeads(Match):
    """A method with heads of its own."""

    def aux_heads(self, num_classes):
        return {"own": AuxHead(num_classes)}


class WithPrecompute(Match):
    """A method that precomputes something before the first step."""

    def precompute(self, source):
        return {"of": source}


def test_heads_and_precomputation_are_the_methods_own():
    method = SignalAnnealing(WithHeads())
    assert method.aux_heads(3) == {"own": AuxHead(3)} and not method.has_precompute
    method = SignalAnnealing(WithPrecompute())
    assert method.has_precompute and method.precompute("source") == {"of": "source"}
    assert method.aux_heads(3) == {}


@pytest.mark.parametrize(
    ("method", "rule"),
    [(MatchRegression(), "for classes")],
)
def test_a_method_that_it_does_not_fit_is_refused(method, rule):
    with pytest.raises(BadInput, match=rf"SignalAnnealing\.method must .*{rule}"):
        SignalAnnealing(method)
