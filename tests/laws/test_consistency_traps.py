"""Mistakes that reference code of semi-supervised learning is known to have made.

That a consistency loss has a gradient at all is a law of every method (`test_consistency.py`);
a softmax of probabilities is looked for in `test_consistency_softmax.py`.
"""

import dataclasses
import inspect

import jax
import numpy as np
import pytest

from mtl_jax import data
from mtl_jax.consistency import CurriculumThreshold, Match, SelfAdaptiveFairness
from mtl_jax.consistency.prediction import Prediction
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.losses import cross_entropy, squared_error
from mtl_jax.storage.run_data import load_run_data
from tests.consistency.seen import C, seen
from tests.laws.test_consistency import MADE, SIZES, warmed
from tests.laws.test_consistency_labels import labelled
from tests.laws.test_consistency_numbers import NUMBERS, sight_of
from tests.small import UNLABELLED as SMALL

# How much more the right class has, in units of 9: most thresholds are passed by some.
SURENESS = (0.2, 0.5, 1.0, 0.2)


def sight_for(method, seed, sure=0.0):
    """A random batch of what a method's task predicts."""
    kind = method.target_types[0]
    if kind == "continuous":
        return sight_of(method, seed)
    return labelled(method, seed) if kind == "binary" else seen(method, seed, sure)


# Temperatures.


def places_of(method, wanted):
    """Paths of the fields that are wanted, those of fields and of tuples of fields too."""
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        if wanted(field.name, value):
            yield (field.name,)
        inner = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        for place, part in inner:
            if dataclasses.is_dataclass(part):
                step = (field.name,) if place is None else (field.name, place)
                yield from ((*step, *rest) for rest in places_of(part, wanted))


def found_at(method, path):
    """What stands at a path."""
    for step in path:
        method = method[step] if isinstance(step, int) else getattr(method, step)
    return method


def with_at(method, path, value):
    """The method with another value at a path."""
    if not path:
        return value
    first, *rest = path
    if isinstance(first, int):
        changed = with_at(method[first], rest, value)
        return (*method[:first], changed, *method[first + 1 :])
    return dataclasses.replace(method, **{first: with_at(getattr(method, first), rest, value)})


def is_temperature(name, value):
    """Whether a field is a temperature that is used."""
    return "temperature" in name and isinstance(value, float)


TEMPERATURES = [
    pytest.param(method, path, id=f"{name}.{'.'.join(map(str, path))}")
    for name, method in MADE.items()
    for path in places_of(method, is_temperature)
]


def told(method):
    """Losses and gradients of some steps on guesses of several kinds, one array."""
    loss_of = squared_error if method in NUMBERS.values() else cross_entropy

    def total(outputs, sight, state):
        sight = sight._replace(logits=outputs[0], heads=outputs[1])
        own = method.labelled_loss(sight, loss_of, state) if method.has_labelled_loss else 0.0
        loss, state, _ = method.update(sight, state)
        return loss.mean() + own, state

    run, state, said = jax.jit(jax.value_and_grad(total, has_aux=True)), warmed(method), []
    for seed, sure in enumerate(SURENESS):
        sight = sight_for(method, seed, sure)
        (value, state), grad = run((sight.logits, sight.heads), sight, state)
        said += [np.ravel(leaf) for leaf in jax.tree.leaves((value, grad))]
    return np.concatenate(said)


def test_there_are_temperatures():
    assert len(TEMPERATURES) >= 3


@pytest.mark.parametrize(("method", "path"), TEMPERATURES)
def test_a_temperature_is_not_ignored(method, path):
    """UDA's once was: what it sharpened was thrown away."""
    other = with_at(method, path, 1.5 * found_at(method, path))
    assert np.abs(told(method) - told(other)).max() > 1e-6


# What a threshold may see.


@pytest.mark.parametrize("method", MADE.values(), ids=MADE)
def test_a_method_is_told_of_training_batches_only(method):
    """Dash's threshold was once the loss on test data. A method gets sizes, views and its state."""
    assert list(inspect.signature(method.init).parameters) == ["sizes"]
    assert list(inspect.signature(method.update).parameters) == ["views", "state"]
    assert DatasetSizes._fields == ("num_classes", "num_unlabelled", "num_labelled")


def test_what_a_run_trains_on_has_no_test_data():
    train, *others = SMALL.data.load()
    dark = [{name: np.zeros_like(values) for name, values in part.items()} for part in others]
    given = [
        load_run_data(run).train for run in (SMALL, SMALL.replace(data=data.Arrays(train, *dark)))
    ]
    jax.tree.map(np.testing.assert_array_equal, *given)


# Counts.


def test_counts_are_those_of_a_recount():
    """FlexMatch by differences, against a list that is counted anew at every step."""
    pool, batch, random = 12, 8, np.random.default_rng(0)
    rule = CurriculumThreshold(0.6)
    state, update = rule.init(DatasetSizes(C, pool, 0)), jax.jit(rule.update)
    last = [-1] * pool
    for _ in range(60):
        index = random.integers(0, pool, batch).astype(np.int32)
        log = jax.nn.log_softmax(1.5 * random.normal(size=(batch, C)).astype(np.float32))
        _, state, _ = update(
            Prediction(log, log), seen(Match(), 0)._replace(unlabelled_index=index), state
        )
        for place, guess in zip(index, np.exp(log), strict=True):
            last[place] = int(guess.argmax()) if guess.max() >= 0.6 else last[place]
        np.testing.assert_array_equal(state.label, last)
        np.testing.assert_array_equal(state.count, [last.count(kind) for kind in range(C)])


# The sign of fairness.


def is_fair(name, value):
    """Whether a field has fairness among its terms."""
    return isinstance(value, tuple) and any(
        isinstance(part, SelfAdaptiveFairness) for part in value
    )


FAIR = {name: method for name, method in MADE.items() if list(places_of(method, is_fair))}


def test_there_is_fairness():
    assert FAIR


@pytest.mark.parametrize("method", FAIR.values(), ids=FAIR)
def test_fairness_is_negative_and_lowers_the_loss(method):
    """It is minus a cross-entropy, so it is added, and makes the loss smaller."""
    (path,) = places_of(method, is_fair)
    bare = with_at(method, path, ())
    for seed in range(4):
        sight = sight_for(method, seed, 1.0)
        loss, _, metrics = jax.jit(method.update)(sight, method.init(SIZES))
        plain, _, _ = jax.jit(bare.update)(sight, bare.init(SIZES))
        (weight,) = (
            term.weight for term in found_at(method, path) if isinstance(term, SelfAdaptiveFairness)
        )
        assert metrics["fairness"] < 0
        np.testing.assert_allclose(loss, plain + weight * metrics["fairness"], rtol=1e-5)
