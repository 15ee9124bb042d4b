"""Bi-Tuning as a method: the functions with the queues so far, and in a run."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.aux_inputs import Sizes
from mtl_jax.core.head_specs import Head
from mtl_jax.core.tree import unit
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import Apart, name_of
from mtl_jax.transfer import BiTuning, cce, ccl, empty_queues, enqueue, with_bias
from tests.consistency.seen import C
from tests.transfer.sights import MASK, D, apart, begun, felt, learning, trained

E, M, T = 4, 3, 0.5
METHOD = BiTuning(D, queue=M, temperature=T, size=E)
KEYS = name_of(Apart(("labelled",), by="teacher"))
SIZES = Sizes(C, 20, 20)
KERNEL = jnp.asarray(np.random.default_rng(0).normal(size=(D, C)), jnp.float32)
BIAS = jnp.arange(C, dtype=jnp.float32)


def linear(kernel, bias, name, x):
    """The task's head."""
    assert name == ""
    return x @ kernel + bias[None]


def sight_of(seed):
    """What the method sees, with the task's head."""
    return felt(METHOD, seed)._replace(call=functools.partial(linear, KERNEL, BIAS))


def by_hand(features, embeddings, sight, queues):
    """The mean of both losses over the examples with a label."""
    labels, keys = sight.labels[MASK], sight.heads["projection"][KEYS][MASK]
    first = cce(features[MASK], labels, KERNEL, BIAS, queues[0], T)
    return (first + ccl(embeddings[MASK], keys, labels, queues[1], T)).mean()


def after(queues, sight):
    """The queues with the keys of a batch."""
    keys = with_bias(sight.features[KEYS]), unit(sight.heads["projection"][KEYS])
    return [enqueue(queue, key, sight.labels) for queue, key in zip(queues, keys, strict=True)]


def own(features, heads, kernel, sight, state):
    """The method's loss, and its next state."""
    call = functools.partial(linear, kernel, BIAS)
    now = sight._replace(features=features, heads=heads, call=call)
    loss, moved, _ = METHOD.update(now, state)
    return loss.mean(), moved


def test_it_is_both_functions_with_the_queues_of_the_batches_before():
    queues = [empty_queues(C, M, D + 1), empty_queues(C, M, E)]
    state = METHOD.init(SIZES)
    step = jax.jit(jax.value_and_grad(own, (0, 1, 2), has_aux=True))
    wanted_of = jax.jit(jax.value_and_grad(by_hand, (0, 1)))
    for seed in range(3):
        sight = felt(METHOD, seed)
        (loss, state), slopes = step(sight.features, sight.heads, KERNEL, sight, state)
        seen = sight.features["labelled"], sight.heads["projection"]["labelled"]
        wanted, (by_class, by_key) = wanted_of(*seen, sight, queues)
        queues = after(queues, sight)
        np.testing.assert_allclose(loss, wanted, rtol=1e-5)
        close(slopes[0]["labelled"], by_class)
        close(slopes[1]["projection"]["labelled"], by_key)
        close(jax.tree.leaves(state), jax.tree.leaves(queues))
        fixed = slopes[0][KEYS], slopes[1]["projection"][KEYS], slopes[2]
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
        return METHOD.update(sight._replace(call=functools.partial(linear, KERNEL, BIAS)), state)

    bare = [sight._replace(call=None) for sight in sights]
    alone = jax.jit(update)(bare[1], state)
    assert jax.eval_shape(lambda: alone[1]) == jax.eval_shape(lambda: state)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *bare)
    found = jax.jit(jax.vmap(update, (0, None)))(both, state)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-4, atol=1e-6), found, alone
    )


def test_the_projector_has_a_hidden_layer():
    assert METHOD.heads(C) == {"projection": Head(E, hidden=1)}


@pytest.mark.parametrize(
    ("field", "value"),
    [("features", 0), ("weight", -1.0), ("queue", 0), ("temperature", 0.0), ("size", 0)],
)
def test_what_is_refused(field, value):
    with pytest.raises(BadInput, match=rf"BiTuning\.{field} must"):
        BiTuning(**{"features": D, field: value})


def test_features_of_another_trunk_are_refused():
    method = BiTuning(D + 1, size=E)
    with pytest.raises(
        BadInput, match=rf"BiTuning\.features must be the trunk's, {D}, not {D + 1}"
    ):
        method.update(sight_of(0), method.init(SIZES))


def test_in_a_run_queues_fill_and_weight_0_is_the_plain_run():
    source = begun()
    free, plain = learning(BiTuning(5, 0.0, queue=4, size=E)), learning(None)
    (one, told), (other, _) = (trained(run, source, 2) for run in (free, plain))
    assert apart(one, other) < 1e-6
    assert np.isfinite([told["cce/row"], told["ccl/row"]]).all()
    kept = one.consistency["row"]
    places = np.asarray(kept.features.filled)
    assert 0 < places.sum() <= 2 * free.batch
    # Keys are of length 1, and all that is not filled is zeros.
    lengths = np.square(np.asarray(kept.embeddings.keys)).sum(-1)
    np.testing.assert_allclose(lengths, np.asarray(jax.vmap(there)(kept.embeddings)), atol=1e-5)
    moved, _ = trained(free.but(tasks=(learning(BiTuning(5, queue=4, size=E)).tasks)), source, 2)
    assert apart(moved, other) > 1e-4


def there(queues):
    """Which keys are of an example, as numbers."""
    return queues.there.astype(jnp.float32)
