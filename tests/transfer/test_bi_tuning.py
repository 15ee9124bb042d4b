"""Bi-Tuning: losses against a loop, absent keys, where gradients go, and the method."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.tree import unit
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import SeparatePass, view_key
from mtl_jax.transfer import BiTuning, append_bias, cce, ccl, empty_queues, enqueue
from tests.consistency.seen import C
from tests.transfer.sights import MASK, D, apart, begun, felt, learning, trained

RANDOM = np.random.default_rng(0)
LABELS = jnp.array([0, 2, 1, 2])
FEATURES, KEYS = jnp.float32(RANDOM.normal(size=(2, 4, 3)))
KERNEL, BIAS = jnp.float32(RANDOM.normal(size=(3, 3))), jnp.float32(RANDOM.normal(size=3))
PAST, PAST_LABELS = jnp.float32(RANDOM.normal(size=(5, 3))), jnp.array([0, 0, 2, 1, 0])
E, M, T = 4, 3, 0.5
METHOD = BiTuning(D, queue=M, temperature=T, size=E)
SEEN_KEYS = view_key(SeparatePass(("labelled",), model="teacher"))
SIZES = DatasetSizes(C, 20, 20)
HEAD = jnp.asarray(np.random.default_rng(0).normal(size=(D, C)), jnp.float32)
HEAD_BIAS = jnp.arange(C, dtype=jnp.float32)


def normed(vectors):
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def queues_of(keys, length=4):
    """Queues in which five keys are, of classes 0, 0, 2, 1 and 0."""
    return enqueue(empty_queues(3, length, keys.shape[1]), keys, PAST_LABELS)


def loop(queries, own, past, temperature):
    """The losses, one example at a time, by lists of positives and negatives."""
    losses = []
    for query, key, label in zip(queries, own, np.asarray(LABELS), strict=True):
        scores = np.array([query @ key, *past @ query]) / temperature
        scores = scores - np.log(np.exp(scores).sum())
        losses.append(-scores[np.array([True, *(np.asarray(PAST_LABELS) == label)])].mean())
    return losses


def test_ccl(variant):
    queues = queues_of(jnp.float32(normed(PAST)))
    found = variant(ccl)(FEATURES, KEYS, LABELS, queues)
    wanted = loop(normed(FEATURES), normed(KEYS), normed(PAST), 0.07)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_cce(variant):
    queues = queues_of(append_bias(PAST))
    found = variant(cce)(FEATURES, LABELS, KERNEL, BIAS, queues)
    ones = np.ones((5, 1))
    weights = normed(np.concatenate([KERNEL, BIAS[None]]).T)[np.asarray(LABELS)]
    own, past = (normed(np.hstack([x, ones[: len(x)]])) for x in (FEATURES, PAST))
    np.testing.assert_allclose(found, loop(weights, own, past, 0.07), rtol=1e-4)


def test_empty_queues_leave_only_oneself():
    found = ccl(FEATURES, KEYS, LABELS, empty_queues(3, 4, 3))
    np.testing.assert_array_equal(found, jnp.zeros(4))


def test_how_long_an_unfilled_queue_is_does_not_count():
    short, long = (queues_of(jnp.float32(normed(PAST)), length) for length in (3, 9))
    np.testing.assert_allclose(
        ccl(FEATURES, KEYS, LABELS, short), ccl(FEATURES, KEYS, LABELS, long), rtol=1e-6
    )


def test_the_least_value_is_the_logarithm_of_the_positives():
    ends = jnp.eye(3)[jnp.array([0, 0, 2, 1, 0])]
    queues = queues_of(ends)
    found = ccl(jnp.eye(3), jnp.eye(3), jnp.arange(3), queues, temperature=0.01)
    np.testing.assert_allclose(found, np.log([4.0, 2.0, 2.0]), rtol=1e-6)  # by hand


def test_gradients_of_ccl_flow_into_embeddings_only():
    queues = queues_of(jnp.float32(normed(PAST)))

    def loss(embeddings, keys, past):
        return ccl(embeddings, keys, LABELS, queues._replace(keys=past)).sum()

    slopes = jax.jit(jax.grad(loss, (0, 1, 2)))(FEATURES, KEYS, queues.keys)
    assert slopes[0].any() and not slopes[1].any() and not slopes[2].any()


def test_gradients_of_cce_flow_into_features_and_head_only():
    queues = queues_of(append_bias(PAST))

    def loss(features, kernel, bias, past):
        return cce(features, LABELS, kernel, bias, queues._replace(keys=past)).sum()

    slopes = jax.jit(jax.grad(loss, (0, 1, 2, 3)))(FEATURES, KERNEL, BIAS, queues.keys)
    assert all(slope.any() for slope in slopes[:3]) and not slopes[3].any()


def test_zeros_have_finite_gradients():
    queues, zeros = empty_queues(3, 4, 3), jnp.zeros((4, 3))
    queues = enqueue(queues, zeros, LABELS)
    slope = jax.jit(jax.grad(lambda z, queues: ccl(z, KEYS, LABELS, queues).sum()))
    assert jnp.isfinite(slope(zeros, queues)).all()
    queues = enqueue(empty_queues(3, 4, 4), append_bias(zeros), LABELS)

    def loss(features, kernel):
        return cce(features, LABELS, kernel, jnp.zeros(3), queues).sum()

    slopes = jax.jit(jax.grad(loss, (0, 1)))(zeros, jnp.zeros((3, 3)))
    assert all(jnp.isfinite(slope).all() for slope in slopes)


def test_a_missing_label_gives_nan():
    queues = queues_of(jnp.float32(normed(PAST)))
    found = ccl(FEATURES, KEYS, jnp.array([0, -1, 3, 1]), queues)
    np.testing.assert_array_equal(jnp.isnan(found), [False, True, True, False])


def test_what_the_functions_refuse():
    queues = queues_of(jnp.float32(normed(PAST)))
    with pytest.raises(ValueError, match=r"queues \[3, M, 4\]"):
        cce(FEATURES, LABELS, KERNEL, BIAS, queues)
    with pytest.raises(ValueError, match="keys of the shape"):
        ccl(FEATURES, KEYS[:2], LABELS, queues)
    with pytest.raises(BadInput, match=r"ccl\.temperature must be above 0"):
        ccl(FEATURES, KEYS, LABELS, queues, temperature=0.0)


def linear(kernel, bias, name, x):
    """The task's head."""
    assert name == ""
    return x @ kernel + bias[None]


def sight_of(seed):
    """What the method sees, with the task's head."""
    return felt(METHOD, seed)._replace(head_fn=functools.partial(linear, HEAD, HEAD_BIAS))


def by_hand(features, embeddings, sight, queues):
    """The mean of both losses over the examples with a label."""
    labels, keys = sight.labels[MASK], sight.heads["projection"][SEEN_KEYS][MASK]
    first = cce(features[MASK], labels, HEAD, HEAD_BIAS, queues[0], T)
    return (first + ccl(embeddings[MASK], keys, labels, queues[1], T)).mean()


def after(queues, sight):
    """The queues with the keys of a batch."""
    keys = append_bias(sight.features[SEEN_KEYS]), unit(sight.heads["projection"][SEEN_KEYS])
    return [enqueue(queue, key, sight.labels) for queue, key in zip(queues, keys, strict=True)]


def own(features, heads, kernel, sight, state):
    """The method's loss, and its next state."""
    call = functools.partial(linear, kernel, HEAD_BIAS)
    now = sight._replace(features=features, heads=heads, head_fn=call)
    loss, moved, _ = METHOD.update(now, state)
    return loss.mean(), moved


def test_it_is_both_functions_with_the_queues_of_the_batches_before():
    queues = [empty_queues(C, M, D + 1), empty_queues(C, M, E)]
    state = METHOD.init(SIZES)
    step = jax.jit(jax.value_and_grad(own, (0, 1, 2), has_aux=True))
    wanted_of = jax.jit(jax.value_and_grad(by_hand, (0, 1)))
    for seed in range(3):
        sight = felt(METHOD, seed)
        (loss, state), slopes = step(sight.features, sight.heads, HEAD, sight, state)
        seen = sight.features["labelled"], sight.heads["projection"]["labelled"]
        wanted, (by_class, by_key) = wanted_of(*seen, sight, queues)
        queues = after(queues, sight)
        np.testing.assert_allclose(loss, wanted, rtol=1e-5)
        close(slopes[0]["labelled"], by_class)
        close(slopes[1]["projection"]["labelled"], by_key)
        close(jax.tree.leaves(state), jax.tree.leaves(queues))
        fixed = slopes[0][SEEN_KEYS], slopes[1]["projection"][SEEN_KEYS], slopes[2]
        assert not any(np.any(leaf) for leaf in fixed)
    assert np.abs(by_class).max() > 0 and np.abs(by_key).max() > 0
    assert int(state.features.filled.sum()) > 3


def close(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), one, other)


def test_missing_labels_do_not_matter_and_take_no_place():
    state = METHOD.init(SIZES)
    sight = sight_of(0)
    other = sight._replace(labels=np.where(MASK, sight.labels, 2).astype(np.int32))
    first, second = METHOD.update(sight, state), METHOD.update(other, state)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert int(first[1].embeddings.filled.sum()) == MASK.sum()
    loss, none, _ = METHOD.update(sight._replace(mask=np.zeros(4, bool)), state)
    np.testing.assert_array_equal(loss, [0.0])
    assert int(none.features.filled.sum()) == 0


def test_the_state_keeps_its_shape_and_seeds_go_side_by_side():
    state, sights = METHOD.init(SIZES), [sight_of(seed) for seed in range(2)]

    def update(sight, state):
        return METHOD.update(
            sight._replace(head_fn=functools.partial(linear, HEAD, HEAD_BIAS)), state
        )

    bare = [sight._replace(head_fn=None) for sight in sights]
    alone = jax.jit(update)(bare[1], state)
    assert jax.eval_shape(lambda: alone[1]) == jax.eval_shape(lambda: state)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *bare)
    found = jax.jit(jax.vmap(update, (0, None)))(both, state)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-4, atol=1e-6), found, alone
    )


def test_the_projector_has_a_hidden_layer():
    assert METHOD.aux_heads(C) == {"projection": AuxHead(E, hidden=1)}


def test_features_of_another_trunk_are_refused():
    method = BiTuning(D + 1, size=E)
    with pytest.raises(
        BadInput, match=rf"BiTuning\.features must be the trunk's, {D}, not {D + 1}"
    ):
        method.update(sight_of(0), method.init(SIZES))


@pytest.mark.slow
def test_in_a_run_queues_fill_and_weight_0_is_the_plain_run():
    source = begun()
    free, plain = learning(BiTuning(5, 0.0, queue=4, size=E)), learning(None)
    (one, told), (other, _) = (trained(run, source, 2) for run in (free, plain))
    assert apart(one, other) < 1e-6
    assert np.isfinite([told["cce/row"], told["ccl/row"]]).all()
    kept = one.aux_state["row"]
    places = np.asarray(kept.features.filled)
    assert 0 < places.sum() <= 2 * free.batch_size
    # Keys are of length 1, and all that is not filled is zeros.
    lengths = np.square(np.asarray(kept.embeddings.keys)).sum(-1)
    np.testing.assert_allclose(lengths, np.asarray(jax.vmap(there)(kept.embeddings)), atol=1e-5)
    moved, _ = trained(
        free.replace(tasks=(learning(BiTuning(5, queue=4, size=E)).tasks)), source, 2
    )
    assert apart(moved, other) > 1e-4


def there(queues):
    """Which keys are of an example, as numbers."""
    return queues.mask.astype(jnp.float32)
