"""DELTA: values by hand, the channels' weights before the first step, and in a run."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mtl_jax import nets, train
from mtl_jax.consistency import SumOfLosses
from mtl_jax.core.model import EncoderOutput
from mtl_jax.core.source_context import SourceContext
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import SeparatePass, view_key
from mtl_jax.runner.trace import trace_run, with_precomputed
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train.precompute import source_features
from mtl_jax.transfer import DELTA, BehavioralRegularization, channel_weights, delta
from mtl_jax.transfer.delta import PENALTY, fit_linear_head, subsample
from tests.transfer.sights import MAPS, SOURCE, begun, felt, learning, trained

WEIGHTS = {name: np.linspace(0.2, 0.8, shape[-1]) for name, shape in MAPS.items()}
WEIGHTS = {name: (each / each.sum()).astype(np.float32) for name, each in WEIGHTS.items()}
TRUNK = nets.CNN((2, 3))
# Two images of 2 x 1 places and 3 channels, which differ by 1, 2 and 3 everywhere.
ONES = jnp.ones((2, 2, 1, 3))
MOVED = ONES + jnp.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
ATTENTION = jnp.array([0.5, 0.25, 0.25])


def clouds():
    """Three classes that the first of four numbers tells best, the last not at all."""
    random = np.random.default_rng(0)
    labels = random.integers(3, size=60)
    told = np.array([2.0, 1.0, 0.5, 0.0]) * (labels[:, None] - 1)
    return (told + random.normal(size=(60, 4))).astype(np.float32), labels.astype(np.int32)


def test_value(variant):
    # By hand: 3 / (2 * 2) of 4 (0.5 + 1 + 2.25).
    np.testing.assert_allclose(variant(delta)(MOVED, ONES, ATTENTION), 11.25)


def test_a_batch_is_summed():
    one = delta(MOVED[:1], ONES[:1], ATTENTION)
    np.testing.assert_allclose(delta(MOVED, ONES, ATTENTION), 2.0 * one)


def test_equal_maps_cost_nothing():
    assert delta(MOVED, MOVED, ATTENTION) == 0.0


def test_nothing_flows_into_the_source_or_the_weights():
    slopes = jax.grad(delta, (0, 1, 2))(MOVED, ONES, ATTENTION)
    np.testing.assert_allclose(slopes[0][0, 0, 0], [0.75, 0.75, 1.125])  # by hand: 1.5 w d
    assert not slopes[1].any() and not slopes[2].any()


def test_channel_weights(variant):
    # By hand: of (1, 3) the mean is 2 and the spread 1; softmax(-0.2, 0.2).
    found = variant(channel_weights)(jnp.array([1.0, 3.0]))
    np.testing.assert_allclose(found, [0.401312, 0.598688], rtol=1e-5)


@pytest.mark.parametrize("rise", [0.0, 0.1, -3e15])
def test_equal_rises_give_equal_weights(rise):
    np.testing.assert_allclose(channel_weights(jnp.full(7, rise)), jnp.full(7, 1 / 7), rtol=1e-6)


def test_shape_and_temperature_are_checked():
    with pytest.raises(ValueError, match="of the same shape"):
        delta(MOVED, ONES[:1], ATTENTION)
    with pytest.raises(ValueError, match=r"weights \[C\] = \(3,\), not \(2,\)"):
        delta(MOVED, ONES, ATTENTION[:2])
    with pytest.raises(BadInput, match=r"channel_weights\.temperature must be above 0"):
        channel_weights(ATTENTION, temperature=0.0)
    with pytest.raises(ValueError, match=r"loss increases \[C\]"):
        channel_weights(ATTENTION[None])


def read(images, layer=None, keep=None):
    """A net that says what it sees."""
    seen = images if layer is None else images * keep[None]
    return EncoderOutput(seen, {"Dense_0": seen})


def opening(mask=True):
    images, labels = clouds()
    told = np.full(len(labels), True) if mask is True else mask
    return SourceContext(jnp.asarray(images), jnp.asarray(labels), jnp.asarray(told), 3, read)


@pytest.mark.parametrize("layers", [None, ("Conv_1",)], ids=["all", "one"])
def test_it_is_the_function_with_the_weights_of_the_opening(layers):
    method = DELTA(layers=layers)
    asked = {name: WEIGHTS[name] for name in layers or MAPS}
    sight = felt(method, 0)._replace(precomputed=asked)
    now, source = (
        sight.feature_maps[view]
        for view in ("labelled", view_key(SeparatePass(("labelled",), "source")))
    )
    wanted = sum(delta(now[name], source[name], asked[name]) for name in asked)
    found, _, _ = jax.jit(method.update)(sight, ())
    np.testing.assert_allclose(found, wanted[None], rtol=1e-6)


def test_the_head_is_scikit_learns():
    images, labels = clouds()
    weights, bias = jax.jit(lambda: fit_linear_head(jnp.asarray(images), opening()))()
    theirs = LogisticRegression(C=1 / (2 * PENALTY * len(labels)), tol=1e-8, max_iter=2000)
    theirs.fit(images.astype(float), labels)
    np.testing.assert_allclose(weights, theirs.coef_.T, atol=2e-3)
    np.testing.assert_allclose(bias - bias.mean(), theirs.intercept_, atol=2e-3)


@pytest.mark.slow
def test_channels_weigh_by_how_much_their_silence_costs():
    images, labels = clouds()
    found = jax.jit(lambda: DELTA(temperature=2.0).precompute(opening()))()["Dense_0"]
    weights, bias = fit_linear_head(jnp.asarray(images), opening())

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
        inputs=opening().inputs[:40], labels=opening().labels[:40], mask=jnp.full(40, True)
    )
    say = jax.jit(
        lambda seen: DELTA().precompute(seen._replace(num_classes=3, source_features=read))[
            "Dense_0"
        ]
    )
    plain = [seen._replace(num_classes=None, source_features=None) for seen in (wrong, some_right)]
    np.testing.assert_allclose(*map(say, plain), rtol=1e-4)


def test_a_few_examples_are_taken_at_even_spaces():
    few = subsample(opening(), 7)
    np.testing.assert_array_equal(few.inputs, opening().inputs[np.arange(7) * 60 // 7])
    there = np.flatnonzero(np.arange(60) % 9 == 0)
    few = subsample(opening(np.arange(60) % 9 == 0), 5)
    np.testing.assert_array_equal(few.inputs, opening().inputs[there[np.arange(5) * 7 // 5]])
    assert few.mask.all(), "those without a label judge nothing"
    assert len(subsample(opening(), 100).labels) == 60


def test_a_silent_channel_is_a_filter_of_zeros():
    run = learning(
        DELTA(),
        trunk=TRUNK,
        initialization={"init_from": SOURCE.replace(trunk=TRUNK, first_seed=0)},
    )
    params, stats = jax.tree.map(lambda leaf: leaf[0], begun(run.initialization.init_from))
    net, images = train.build_model(run), load_run_data(run).train.streams[""].inputs[:5]
    say = functools.partial(source_features, net, task="row", images=images)
    whole = say(train.SourceModel(params, stats)).features
    silent = say(train.SourceModel(params, stats), layer="Conv_1", keep=jnp.array([1.0, 0.0, 1.0]))
    filters = params["shared"]["Conv_1"]
    without = {name: leaf * np.array([1.0, 0.0, 1.0], np.float32) for name, leaf in filters.items()}
    changed = {**params, "shared": {**params["shared"], "Conv_1": without}}
    wanted = say(train.SourceModel(changed, stats)).features
    np.testing.assert_allclose(silent.features, wanted, rtol=1e-5, atol=1e-6)
    assert np.abs(silent.features - whole).max() > 1e-3


@pytest.mark.slow
def test_in_a_run_it_holds_the_maps_near_the_source():
    base = SOURCE.replace(trunk=TRUNK, first_seed=0)
    source = begun(SOURCE.replace(trunk=TRUNK))
    method = DELTA(weight=1.0)
    free, held = (
        learning(
            dataclasses.replace(method, weight=w), trunk=TRUNK, initialization={"init_from": base}
        )
        for w in (0, 1.0)
    )
    (_, said), (_, told) = (trained(run, source, 6) for run in (free, held))
    assert told["unlabelled_loss/row"] < 0.7 * said["unlabelled_loss/row"]
    both = learning(
        SumOfLosses((BehavioralRegularization(0.0), method)),
        trunk=TRUNK,
        initialization={"init_from": base},
    )
    _, beside = trained(both, source, 6)
    np.testing.assert_allclose(beside["loss/row"], told["loss/row"], rtol=1e-5)


def test_what_a_run_says_before_the_start_is_in_what_is_traced():
    run = learning(
        DELTA(),
        trunk=TRUNK,
        initialization={"init_from": SOURCE.replace(trunk=TRUNK, first_seed=0)},
    )
    _, _, given = trace_run(run, 1)
    assert {name: leaf.shape for name, leaf in given.source_model.precomputed["row"].items()} == {
        "Conv_0": (1, 2), "Conv_1": (1, 3)
    }  # fmt: skip


def test_the_step_is_traced_once(monkeypatch):
    traced, update = [], DELTA.update
    monkeypatch.setattr(DELTA, "update", lambda *args: traced.append(1) or update(*args))
    run = learning(
        DELTA(weight=0.5),
        trunk=TRUNK,
        initialization={"init_from": SOURCE.replace(trunk=TRUNK, first_seed=0)},
    )
    made, _, _ = trace_run(run, 1)
    state = made.init(begun(run.initialization.init_from))
    anchor = jax.tree.map(jnp.copy, train.SourceModel(state.params, state.batch_stats))
    made.train_steps(
        state,
        with_precomputed(run, made, load_run_data(run).train._replace(source_model=anchor)),
        1,
    )
    assert len(traced) == 1


def test_labels_that_are_no_classes_are_refused():
    numbers = opening()._replace(labels=opening().labels.astype(jnp.float32))
    with pytest.raises(BadInput, match=r"DELTA\.precompute needs classes.*float32 \[60\]"):
        DELTA().precompute(numbers)
    with pytest.raises(BadInput, match=r"not '1 outputs"):
        DELTA().precompute(opening()._replace(num_classes=1))


@pytest.mark.parametrize(
    ("field", "value"),
    [("layers", ())],
    ids=str,
)
def test_what_is_refused(field, value):
    with pytest.raises(BadInput, match=rf"DELTA\.{field} must"):
        DELTA(**{field: value})


def test_a_layer_that_is_not_there_is_named():
    method = DELTA(layers=("Conv_2",))
    with pytest.raises(BadInput, match=r"DELTA\.layers .* Conv_1.* not 'Conv_2'"):
        method.update(felt(method, 0)._replace(precomputed={}), ())
