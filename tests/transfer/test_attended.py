"""DELTA in a run: the channels' weights before the first step, and the loss that they weigh."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mtl_jax import nets, train
from mtl_jax.consistency import Together
from mtl_jax.core.model import Read
from mtl_jax.core.source_context import Opening
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import Apart, name_of
from mtl_jax.runner.train_loop import check, opened
from mtl_jax.storage.run_data import prepare
from mtl_jax.train.precompute import read_by_source
from mtl_jax.transfer import DELTA, Behaviour, channel_weights, delta
from mtl_jax.transfer.attended import PENALTY, fitted, some
from tests.transfer.sights import MAPS, SOURCE, begun, felt, learning, trained

WEIGHTS = {name: np.linspace(0.2, 0.8, shape[-1]) for name, shape in MAPS.items()}
WEIGHTS = {name: (each / each.sum()).astype(np.float32) for name, each in WEIGHTS.items()}
TRUNK = nets.CNN((2, 3))


def clouds():
    """Three classes that the first of four numbers tells best, the last not at all."""
    random = np.random.default_rng(0)
    labels = random.integers(3, size=60)
    told = np.array([2.0, 1.0, 0.5, 0.0]) * (labels[:, None] - 1)
    return (told + random.normal(size=(60, 4))).astype(np.float32), labels.astype(np.int32)


def read(images, layer=None, keep=None):
    """A net that says what it sees."""
    seen = images if layer is None else images * keep[None]
    return Read(seen, {"Dense_0": seen})


def opening(mask=True):
    images, labels = clouds()
    told = np.full(len(labels), True) if mask is True else mask
    return Opening(jnp.asarray(images), jnp.asarray(labels), jnp.asarray(told), 3, read)


@pytest.mark.parametrize("layers", [None, ("Conv_1",)], ids=["all", "one"])
def test_it_is_the_function_with_the_weights_of_the_opening(layers):
    method = DELTA(layers=layers)
    asked = {name: WEIGHTS[name] for name in layers or MAPS}
    sight = felt(method, 0)._replace(opened=asked)
    now, source = (
        sight.maps[view] for view in ("labelled", name_of(Apart(("labelled",), "source")))
    )
    wanted = sum(delta(now[name], source[name], asked[name]) for name in asked)
    found, _, _ = jax.jit(method.update)(sight, ())
    np.testing.assert_allclose(found, wanted[None], rtol=1e-6)


def test_the_head_is_scikit_learns():
    images, labels = clouds()
    weights, bias = jax.jit(lambda: fitted(jnp.asarray(images), opening()))()
    theirs = LogisticRegression(C=1 / (2 * PENALTY * len(labels)), tol=1e-8, max_iter=2000)
    theirs.fit(images.astype(float), labels)
    np.testing.assert_allclose(weights, theirs.coef_.T, atol=2e-3)
    np.testing.assert_allclose(bias - bias.mean(), theirs.intercept_, atol=2e-3)


def test_channels_weigh_by_how_much_their_silence_costs():
    images, labels = clouds()
    found = jax.jit(lambda: DELTA(temperature=2.0).begin(opening()))()["Dense_0"]
    weights, bias = fitted(jnp.asarray(images), opening())

    def cost(keep):
        said = jax.nn.log_softmax(images * keep @ np.asarray(weights) + np.asarray(bias))
        return -np.mean(np.asarray(said)[np.arange(60), labels])

    rises = [cost(1 - np.eye(4)[channel]) - cost(np.ones(4)) for channel in range(4)]
    wanted = channel_weights(jnp.asarray(rises, jnp.float32), 2.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-3)
    assert found.argmax() == 0 and np.isclose(found.sum(), 1.0)


def test_labels_that_are_missing_do_not_count():
    mask = np.arange(60) < 40
    wrong = opening(mask)._replace(labels=jnp.where(mask, clouds()[1], -1))
    some_right = opening()._replace(
        images=opening().images[:40], labels=opening().labels[:40], mask=jnp.full(40, True)
    )
    say = jax.jit(lambda seen: DELTA().begin(seen._replace(classes=3, read=read))["Dense_0"])
    plain = [seen._replace(classes=None, read=None) for seen in (wrong, some_right)]
    np.testing.assert_allclose(*map(say, plain), rtol=1e-4)


def test_a_few_examples_are_taken_at_even_spaces():
    few = some(opening(), 7)
    np.testing.assert_array_equal(few.images, opening().images[np.arange(7) * 60 // 7])
    there = np.flatnonzero(np.arange(60) % 9 == 0)
    few = some(opening(np.arange(60) % 9 == 0), 5)
    np.testing.assert_array_equal(few.images, opening().images[there[np.arange(5) * 7 // 5]])
    assert few.mask.all(), "those without a label judge nothing"
    assert len(some(opening(), 100).labels) == 60


def test_a_silent_channel_is_a_filter_of_zeros():
    run = learning(DELTA(), trunk=TRUNK, source=SOURCE.but(trunk=TRUNK, first_seed=0))
    params, stats = jax.tree.map(lambda leaf: leaf[0], begun(run.source))
    net, images = train.net_of(run), prepare(run).given.streams[""].image[:5]
    say = functools.partial(read_by_source, net, task="row", images=images)
    whole = say(train.Start(params, stats)).features
    silent = say(train.Start(params, stats), layer="Conv_1", keep=jnp.array([1.0, 0.0, 1.0]))
    filters = params["shared"]["Conv_1"]
    without = {name: leaf * np.array([1.0, 0.0, 1.0], np.float32) for name, leaf in filters.items()}
    changed = {**params, "shared": {**params["shared"], "Conv_1": without}}
    wanted = say(train.Start(changed, stats)).features
    np.testing.assert_allclose(silent.features, wanted, rtol=1e-5, atol=1e-6)
    assert np.abs(silent.features - whole).max() > 1e-3


def test_in_a_run_it_holds_the_maps_near_the_source():
    base = SOURCE.but(trunk=TRUNK, first_seed=0)
    source = begun(SOURCE.but(trunk=TRUNK))
    method = DELTA(weight=1.0)
    free, held = (
        learning(dataclasses.replace(method, weight=w), trunk=TRUNK, source=base) for w in (0, 1.0)
    )
    (_, said), (_, told) = (trained(run, source, 6) for run in (free, held))
    assert told["unlabelled_loss/row"] < 0.7 * said["unlabelled_loss/row"]
    both = learning(Together((Behaviour(0.0), method)), trunk=TRUNK, source=base)
    _, beside = trained(both, source, 6)
    np.testing.assert_allclose(beside["loss/row"], told["loss/row"], rtol=1e-5)


def test_what_a_run_says_before_the_start_is_in_what_is_traced():
    run = learning(DELTA(), trunk=TRUNK, source=SOURCE.but(trunk=TRUNK, first_seed=0))
    _, _, given = check(run, 1)
    assert {name: leaf.shape for name, leaf in given.anchor.said["row"].items()} == {
        "Conv_0": (1, 2), "Conv_1": (1, 3)
    }  # fmt: skip


def test_the_step_is_traced_once(monkeypatch):
    traced, update = [], DELTA.update
    monkeypatch.setattr(DELTA, "update", lambda *args: traced.append(1) or update(*args))
    run = learning(DELTA(weight=0.5), trunk=TRUNK, source=SOURCE.but(trunk=TRUNK, first_seed=0))
    made, _, _ = check(run, 1)
    state = made.init(begun(run.source))
    anchor = jax.tree.map(jnp.copy, train.Start(state.params, state.stats))
    made.advance(state, opened(run, made, prepare(run).given._replace(anchor=anchor)), 1)
    assert len(traced) == 1


def test_labels_that_are_no_classes_are_refused():
    numbers = opening()._replace(labels=opening().labels.astype(jnp.float32))
    with pytest.raises(BadInput, match=r"DELTA\.begin needs classes.*float32 \[60\]"):
        DELTA().begin(numbers)
    with pytest.raises(BadInput, match=r"not '1 outputs"):
        DELTA().begin(opening()._replace(classes=1))


@pytest.mark.parametrize(
    ("field", "value"),
    [("weight", -1.0), ("view", "strong"), ("layers", ()), ("temperature", 0.0), ("examples", 0)],
    ids=str,
)
def test_what_is_refused(field, value):
    with pytest.raises(BadInput, match=rf"DELTA\.{field} must"):
        DELTA(**{field: value})


def test_a_layer_that_is_not_there_is_named():
    method = DELTA(layers=("Conv_2",))
    with pytest.raises(BadInput, match=r"DELTA\.layers .* Conv_1.* not 'Conv_2'"):
        method.update(felt(method, 0)._replace(opened={}), ())
