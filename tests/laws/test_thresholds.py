"""What stands exactly at a threshold counts, as the papers have it: `>=`, and `<=` for losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import consistency, domain_adaptation
from mtl_jax.consistency.comatch import similarity_graph
from mtl_jax.consistency.multimatch import pseudo_label_for_head
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.consistency.shrinkmatch import shrink_classes
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.losses import cross_entropy
from tests.consistency.seen import B, C, N, U, seen

SIZES = DatasetSizes(C, N, N)
NEXT = float(np.nextafter(np.float32(1.0), np.float32(0.0)))  # the largest float below 1
# Of the first class, with a softmax of exactly 1 and a cross-entropy of exactly 0.
SURE = 300.0 * np.eye(C, dtype=np.float32)[:1]
# Nearly so: a probability of `1 / (1 + 3 e^-15)`, which is NEXT or less.
NEARLY = SURE / 20.0


def saturated(method, logits=SURE):
    """What a method sees where every view says the same."""
    sight = seen(method, 0)
    return sight._replace(
        logits={view: np.tile(logits, (len(z), 1)) for view, z in sight.logits.items()}
    )


def rate(method, logits=SURE):
    """The share that counts at the first step."""
    return jax.jit(method.update)(saturated(method, logits), method.init(SIZES))[2]["mask_rate"]


FIXED = [
    consistency.FixMatch(1.0),
    consistency.UDA(1.0),
    consistency.PseudoLabel(1.0),
    consistency.NoisyStudent(1.0),
    consistency.CoMatch(threshold=1.0),
    consistency.CRMatch(consistency.FixMatch(1.0)),
    consistency.DeFixMatch(1.0),
    consistency.ReFixMatch(mask=consistency.ConfidenceThreshold(1.0)),
    consistency.SequenceMatch(mask=consistency.ConfidenceThreshold(1.0)),
    consistency.ShrinkMatch(threshold=1.0),
    consistency.SimMatch(threshold=1.0),
]
# Here the threshold is what the batch itself has.
RELATIVE = [
    consistency.AdaMatch(relative_threshold=1.0),
    consistency.Match(mask=consistency.RelativeThreshold(1.0)),
    consistency.Match(mask=consistency.SelfAdaptiveThreshold(momentum=0.0)),
    consistency.Dash(0, 1, initial_loss=0.0, min_threshold=0.0),
]


@pytest.mark.parametrize("method", FIXED + RELATIVE, ids=repr)
def test_what_reaches_a_threshold_counts(method):
    assert rate(method) == 1.0


@pytest.mark.parametrize("method", FIXED, ids=repr)
def test_what_falls_short_of_it_does_not(method):
    assert np.asarray(jax.nn.softmax(NEARLY)).max() <= NEXT
    assert rate(method, NEARLY) == 0.0


def test_one_function():
    strong, weak = jnp.zeros((1, C)), jnp.asarray(SURE)
    assert consistency.fixmatch(strong, weak, threshold=1.0)[1].all()
    assert not consistency.fixmatch(strong, weak / 20.0, threshold=1.0)[1].any()


def test_flexible_thresholds_at_the_fixed_one():
    """The sure ones are selected, and then count by a status of 1."""
    mask, guess = consistency.CurriculumThreshold(1.0, warm_up=False), jax.nn.log_softmax(SURE)
    guess = Prediction(*2 * [jnp.tile(guess, (U, 1))])
    sight = seen(consistency.FlexMatch(), 0)
    _, state, _ = mask.update(guess, sight, mask.init(SIZES))
    np.testing.assert_array_equal(state.count, [U, 0, 0, 0])
    hits, _, _ = mask.update(guess, sight, state)
    assert hits.all()


def test_pairs_of_numbers_as_sure_as_the_threshold():
    method = consistency.RankUp(threshold=1.0)
    sight = seen(method, 0)
    rising = 300.0 * np.arange(U, dtype=np.float32)[:, None] * np.eye(2, dtype=np.float32)[:1]
    heads = {"rank": {view: np.tile(rising[: len(z)], (1, C)) for view, z in sight.logits.items()}}
    _, _, metrics = jax.jit(method.update)(sight._replace(heads=heads), ())
    np.testing.assert_allclose(metrics["mask_rate"], (U - 1) / U)  # all but those with itself


def test_annealing_at_its_limit():
    """Of C equal logits the label has 1/C, the limit at the start."""
    method = consistency.SignalAnnealing(schedule="linear")
    sight = seen(method, 0)
    sight = sight._replace(
        logits={**sight.logits, "labelled": jnp.zeros((B, C))}, progress=jnp.zeros(())
    )
    np.testing.assert_allclose(method.labelled_loss(sight, cross_entropy, ()), np.log(C), rtol=1e-6)
    surer = sight._replace(logits={"labelled": 1e-3 * np.eye(C, dtype=np.float32)[sight.labels]})
    assert method.labelled_loss(surer, cross_entropy, ()) == 0.0


def test_parts_of_methods_at_their_thresholds():
    kept, enough = shrink_classes(jnp.array([[0.5, 0.25, 0.25, 0.0]]), 1.0)
    assert enough.all() and kept.tolist() == [[True, False, False, True]]  # 0.5 of 0.5
    graph = similarity_graph(jnp.array([[1.0, 0.0], [0.5, 0.5]]), 0.5)
    np.testing.assert_allclose(graph[0], [2 / 3, 1 / 3], rtol=1e-6)  # a product of 0.5
    labels, own, masked = jnp.array([[0], [0], [1]]), jnp.full((3, 1), 0.5), jnp.ones((3, 1), bool)
    _, easy, hard = pseudo_label_for_head(
        labels.at[2].set(0), own, masked, jnp.full((3, 2), 0.5), 0
    )
    assert easy.all() and not hard.any()
    logits = jnp.asarray(SURE)
    _, mask = domain_adaptation.bidirectional_matching(logits, logits, jnp.ones(()))
    _, unsure = domain_adaptation.self_penalty(logits, jnp.ones(()), jnp.ones(()))
    assert mask.all() and not unsure.any()
