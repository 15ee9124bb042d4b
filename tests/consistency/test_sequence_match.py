"""SequenceMatch: its four terms, the unsure ones, whose gradients flow, and the temperature."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.consistency import ConfidenceThreshold, SequenceMatch
from mtl_jax.core.aux_inputs import DatasetSizes
from tests.consistency.seen import seen

SIZES = DatasetSizes(3, 20, 4)
WEAK = np.array([[3.0, 0.0, 0.0], [0.5, 0.0, 0.0]], np.float32)  # 0.909 and 0.452 sure.
MEDIUM = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0]], np.float32)
STRONG = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0]], np.float32)
FIXED = SequenceMatch(mask=ConfidenceThreshold(0.8))

update = jax.jit(SequenceMatch.update, static_argnums=0)


def run(method=FIXED, weak=WEAK, medium=MEDIUM, strong=STRONG):
    logits = {"weak": weak, "medium": medium, "strong": strong}
    index = jnp.arange(2, dtype=jnp.int32)
    return update(
        method, seen(method, 0)._replace(logits=logits, unlabelled_index=index), method.init(SIZES)
    )


def softmax(logits, temperature=1.0):
    powers = np.exp(np.asarray(logits, np.float64) / temperature)
    return powers / powers.sum(-1, keepdims=True)


def divergence(target, logits):
    return (target * (np.log(target) - np.log(softmax(logits)))).sum(-1)


def test_the_terms_are_the_papers():
    """The first example is sure, the second is not; from the formula in numpy."""
    loss, _, metrics = run()
    weak, medium = softmax(WEAK, 0.5), softmax(MEDIUM, 0.5)
    direct = divergence(weak, STRONG)
    sure = -np.log(softmax(STRONG))[0, 0] + direct[0]
    sure += divergence(weak, MEDIUM)[0] + divergence(medium, STRONG)[0]
    np.testing.assert_allclose(loss, [sure, direct[1]], rtol=1e-5)
    assert metrics["mask_rate"] == 0.5


def test_unsure_ones_may_be_left_out():
    loss, _, _ = run(SequenceMatch(mask=ConfidenceThreshold(0.8), low_confidence_weight=0.0))
    np.testing.assert_array_equal(loss > 0, [True, False])


def test_the_temperature_changes_the_loss():
    warm, cold = (
        run(SequenceMatch(mask=ConfidenceThreshold(0.8), temperature=t))[0] for t in (1.0, 0.25)
    )
    assert (np.abs(warm - cold) > 0.05).all()


def test_medium_learns_from_weak_and_does_not_learn_from_strong():
    grads = jax.grad(lambda *z: run(FIXED, *z)[0].sum(), (0, 1, 2))(WEAK, MEDIUM, STRONG)
    np.testing.assert_array_equal(grads[0], np.zeros_like(WEAK))
    wanted = softmax(MEDIUM) - softmax(WEAK, 0.5)  # of KL(q_w || m) alone
    np.testing.assert_allclose(grads[1], wanted * [[1.0], [0.0]], atol=1e-6)
    assert (np.abs(grads[2]).sum(1) > 0).all()


def test_the_curriculum_is_kept_by_index():
    """The mask is FlexMatch's: at first it takes all, and only sure guesses are remembered."""
    _, state, metrics = run(SequenceMatch(), weak=4.0 * WEAK)
    assert metrics["mask_rate"] == 1.0
    np.testing.assert_array_equal(state.mask.label[:3], [0, -1, -1])
