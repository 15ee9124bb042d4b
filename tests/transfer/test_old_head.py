"""The source's head beside the task's: LwF, Co-Tuning and what they take over in a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import Together
from mtl_jax.core.aux_inputs import Sizes
from mtl_jax.core.head_specs import Head
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import Apart, name_of
from mtl_jax.transfer import CoTuning, LwF, class_relationship, co_tuning, lwf
from tests.consistency.seen import C
from tests.small import ROW
from tests.transfer.sights import MASK, apart, begun, felt, learning, trained

Z = 3
STARTED = name_of(Apart(("labelled",), by="source"))
SIZES = Sizes(C, 20, 20)
# As the docstrings say.
TAKE = ((r"tasks/heads/row/(kernel|bias)", r"tasks/heads/row/old/Dense_0/\1"),)


def slopes_of(method, sight, state=()):
    """The loss of a method, and its gradient by what the heads say."""

    def total(heads):
        return method.update(sight._replace(heads=heads), state)[0].mean()

    return jax.jit(jax.value_and_grad(total))(sight.heads)


@pytest.mark.parametrize("view", ["labelled", "weak"])
def test_lwf_is_the_function_of_the_old_head(view):
    method, source = LwF(Z, temperature=5.0, view=view), name_of(Apart((view,), by="source"))
    sight = felt(method, 0)
    old = sight.heads["old"]
    loss, slopes = slopes_of(method, sight)
    wanted, slope = jax.value_and_grad(lambda z: lwf(z, old[source], 5.0).mean())(old[view])
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    np.testing.assert_allclose(slopes["old"][view], slope, rtol=1e-4, atol=1e-7)
    assert np.abs(slope).max() > 0 and not np.any(slopes["old"][source])
    assert method.heads(C) == {"old": Head(Z)}


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


def test_missing_labels_do_not_matter():
    for method in (LwF(Z), CoTuning(Z)):
        sight, state = felt(method, 2), method.init(SIZES)
        other = sight._replace(labels=np.where(MASK, sight.labels, 3).astype(np.int32))
        found = [method.update(each, state) for each in (sight, other)]
        jax.tree.map(np.testing.assert_array_equal, *found)


def test_the_state_keeps_its_shape_and_seeds_go_side_by_side():
    method = CoTuning(Z)
    state, sights = method.init(SIZES), [felt(method, seed) for seed in range(2)]
    alone = method.update(sights[1], state)
    assert jax.eval_shape(lambda: alone[1]) == jax.eval_shape(lambda: state)
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *sights)
    found = jax.jit(jax.vmap(method.update, (0, None)))(both, state)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-5), found, alone)


@pytest.mark.parametrize(
    ("make", "field"),
    [(lambda: LwF(0), "LwF.classes"), (lambda: LwF(2, -1.0), "LwF.weight"),
     (lambda: LwF(2, temperature=0.0), "LwF.temperature"),
     (lambda: LwF(2, view="strong"), "LwF.view"), (lambda: CoTuning(0), "CoTuning.classes"),
     (lambda: CoTuning(2, -1.0), "CoTuning.weight")],
    ids=["classes", "weight", "temperature", "view", "source classes", "strength"],
)  # fmt: skip
def test_what_is_refused(make, field):
    with pytest.raises(BadInput, match=rf"{field} must"):
        make()


def test_a_run_that_does_not_take_the_head_over_is_refused():
    rule = r"Run\.take must make tasks/heads/row/{}old/\.\.\., a head of the source that .*{}\("
    for take in ((), ((r"tasks/heads/row/(.*)", r"tasks/heads/row/new/\1"),)):
        for method in (LwF(Z), CoTuning(Z)):
            with pytest.raises(BadInput, match=rule.format("", type(method).__name__)):
                learning(method, take=take)
    both = Together((CoTuning(Z), LwF(Z)))
    with pytest.raises(BadInput, match=rule.format(r"1\.", "Together")):
        learning(both, take=((r"tasks/heads/row/(.*)", r"tasks/heads/row/0.old/Dense_0/\1"),))
    everything = (r"tasks/heads/(row)/(.*)", r"tasks/heads/\1/old/Dense_0/\2")
    assert learning(LwF(Z), take=(everything,)).take == (everything,)


def test_in_a_run_the_old_head_is_the_source_s_and_holds():
    source = begun()
    free, held = (learning(LwF(Z, weight), take=TAKE) for weight in (0.0, 300.0))
    plain = learning(None, take=())
    (one, said), (other, _), (_, told) = (trained(r, source, 6) for r in (free, plain, held))
    assert apart(one, other) < 1e-6
    old = one.params["tasks"]["heads"]["row/old"]["Dense_0"]
    kernel = source[0]["tasks"]["heads"]["row"]["kernel"]
    np.testing.assert_array_equal(old["kernel"], kernel)
    assert told["unlabelled_loss/row"] < 0.8 * said["unlabelled_loss/row"]


def test_in_a_run_the_relationship_is_of_all_that_was_seen():
    run = learning(CoTuning(Z), take=TAKE)
    state, told = trained(run, begun(), 3)
    assert np.isfinite(told["unlabelled_loss/row"]).all()
    np.testing.assert_allclose(state.consistency["row"].sums.sum(), 3 * run.batch, rtol=1e-5)
    assert ROW.outputs == state.consistency["row"].sums.shape[1]
