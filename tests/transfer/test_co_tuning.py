"""Co-Tuning: the relationship by hand, the loss, what it refuses, and in a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import SeparatePass, view_key
from mtl_jax.transfer import CoTuning, class_relationship, co_tuning
from tests.consistency.seen import C
from tests.small import ROW
from tests.transfer.sights import MASK, begun, felt, learning, trained

Z = 3
STARTED = view_key(SeparatePass(("labelled",), model="source"))
SIZES = DatasetSizes(C, 20, 20)
# As the docstrings say.
TAKE = ((r"tasks/heads/row/(kernel|bias)", r"tasks/heads/row/old/Dense_0/\1"),)
PROBABILITIES = np.array([[0.8, 0.2, 0.0], [0.4, 0.2, 0.4], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
RELATION = jnp.array([[0.6, 0.2, 0.2], [0.0, 0.0, 1.0]])


def test_relationship():
    found = class_relationship(PROBABILITIES, np.array([0, 0, 1, -1]))
    np.testing.assert_allclose(found, RELATION, atol=1e-7)  # by hand: means of rows


def test_loss(variant):
    logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]))
    found = variant(co_tuning)(logits, jnp.array([0, 1]), RELATION)
    half = np.log(2.0)
    np.testing.assert_allclose(found, [0.6 * half + 0.8 * half, half], rtol=1e-6)  # by hand


def test_it_is_least_at_the_relationship():
    labels = jnp.array([0])
    slope = jax.grad(lambda z: co_tuning(z, labels, RELATION).sum())
    np.testing.assert_allclose(slope(jnp.log(RELATION[:1])), jnp.zeros((1, 3)), atol=1e-6)


def test_no_gradient_reaches_the_relationship():
    slope = jax.grad(lambda r: co_tuning(jnp.ones((1, 3)), jnp.array([1]), r).sum())(RELATION)
    np.testing.assert_array_equal(slope, jnp.zeros((2, 3)))


def test_numpy_float64_and_other_leading_shapes_are_taken():
    found = co_tuning(jnp.zeros((2, 5, 3)), jnp.zeros((2, 5), jnp.int32), np.array(RELATION, float))
    np.testing.assert_allclose(found, jnp.full((2, 5), np.log(3.0)), rtol=1e-6)


def test_a_missing_label_is_not_the_last_class():
    found = co_tuning(jnp.zeros((3, 3)), jnp.array([-1, 2, 1]), RELATION)
    np.testing.assert_array_equal(jnp.isnan(found), [True, True, False])


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"relationship \[C, Z\]"):
        co_tuning(jnp.zeros((2, 4)), jnp.zeros(2, jnp.int32), RELATION)


@pytest.mark.parametrize(
    ("values", "labels", "text"),
    [
        (PROBABILITIES, [0, 0, 2, 2], "example of every class, none of 1"),
        (2.0 * PROBABILITIES, [0, 0, 1, 1], "needs probabilities"),
        (PROBABILITIES, [-1] * 4, "there is none"),
        (PROBABILITIES, [0, 1], "one row a label"),
    ],
)
def test_bad_examples_are_refused(values, labels, text):
    with pytest.raises(BadInput, match=text):
        class_relationship(values, np.array(labels))


def slopes_of(method, sight, state=()):
    """The loss of a method, and its gradient by what the heads say."""

    def total(heads):
        return method.update(sight._replace(heads=heads), state)[0].mean()

    return jax.jit(jax.value_and_grad(total))(sight.heads)


def test_co_tuning_is_the_function_with_the_relationship_so_far():
    """After two batches it is `class_relationship` of all that had a label."""
    method = CoTuning(Z)
    first, second = felt(method, 0), felt(method, 1)
    labels = np.array([2, 0, -1, 1], np.int32)
    first, second = (sight._replace(labels=labels) for sight in (first, second))
    _, state, _ = jax.jit(method.update)(first, method.init(SIZES))
    loss, slopes = slopes_of(method, second, state)
    said = [jax.nn.softmax(sight.heads["old"][STARTED]) for sight in (first, second)]
    relationship = class_relationship(np.concatenate(said), np.concatenate([labels, labels]))
    now = second.heads["old"]["labelled"]

    def by_hand(logits):
        return co_tuning(logits[MASK], labels[MASK], relationship).mean()

    wanted, slope = jax.value_and_grad(by_hand)(now)
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    np.testing.assert_allclose(slopes["old"]["labelled"], slope, rtol=1e-4, atol=1e-7)
    assert not np.any(slopes["old"][STARTED])
    _, state, _ = jax.jit(method.update)(second, state)
    np.testing.assert_allclose(state.sums.sum(1), [2.0, 2.0, 2.0, 0.0], rtol=1e-6)  # by hand


def test_the_own_batch_counts_and_no_label_costs_nothing():
    method = CoTuning(Z)
    sight, none = felt(method, 0), np.zeros(4, bool)
    loss, state, _ = method.update(sight._replace(mask=none), method.init(SIZES))
    np.testing.assert_array_equal(loss, [0.0])
    assert not np.any(state.sums)
    one = sight._replace(labels=np.array([0, -1, -1, -1], np.int32), mask=np.arange(4) == 0)
    loss, _, _ = method.update(one, state)
    p = jax.nn.softmax(sight.heads["old"][STARTED][0])
    log = jax.nn.log_softmax(sight.heads["old"]["labelled"][0])
    np.testing.assert_allclose(loss, -(p * log).sum()[None], rtol=1e-5)  # by hand


def test_the_state_keeps_its_shape_and_seeds_go_side_by_side():
    method = CoTuning(Z)
    state, sights = method.init(SIZES), [felt(method, seed) for seed in range(2)]
    alone = method.update(sights[1], state)
    assert jax.eval_shape(lambda: alone[1]) == jax.eval_shape(lambda: state)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *sights)
    found = jax.jit(jax.vmap(method.update, (0, None)))(both, state)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-5), found, alone)


def test_in_a_run_the_relationship_is_of_all_that_was_seen():
    run = learning(CoTuning(Z), initialization={"param_map": TAKE})
    state, told = trained(run, begun(), 3)
    assert np.isfinite(told["unlabelled_loss/row"]).all()
    np.testing.assert_allclose(state.aux_state["row"].sums.sum(), 3 * run.batch_size, rtol=1e-5)
    assert ROW.num_outputs == state.aux_state["row"].sums.shape[1]
