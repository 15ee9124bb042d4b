"""Tuned rows: which trials they have, and which searches are refused."""

import numpy as np
import pytest
from scipy.stats import qmc

from mtl_jax import Experiment, LogUniform, Tuned, Uniform, optimizers, tune, weighting
from mtl_jax.core.fingerprint import fingerprint
from mtl_jax.core.validation import BadInput
from tests.small import RUN, UNLABELLED

RATE = "optimizer.learning_rate"


def rates(row):
    return [trial.optimizer.learning_rate for trial in row.trials]


def test_all_combinations_are_tried():
    over = {RATE: (0.1, 0.2), "balance": (weighting.Equal(), weighting.Constant((0.5, 1.5)))}
    row = Tuned(name="best", run=RUN, over=over)
    assert [(t.optimizer.learning_rate, t.balance) for t in row.trials] == [
        (0.1, weighting.Equal()),
        (0.1, weighting.Constant((0.5, 1.5))),
        (0.2, weighting.Equal()),
        (0.2, weighting.Constant((0.5, 1.5))),
    ]
    assert row.trials[1].name == "best, learning_rate=0.1, balance=Constant(weights=(0.5, 1.5))"
    same = RUN.replace(name=row.trials[0].name, optimizer=optimizers.SGD(0.1))
    assert fingerprint(row.trials[0]) == fingerprint(same)


def test_a_smaller_budget_is_a_subset():
    values = tuple(x / 100 for x in range(1, 11))
    some = rates(Tuned(name="best", run=RUN, over={RATE: values}, budget=4))
    assert len(set(some)) == 4
    assert set(some) < set(values)
    assert some == sorted(some)
    other = rates(Tuned(name="best", run=RUN, over={RATE: values}, budget=4, seed=1))
    assert some != other


def test_drawn_values_are_scipys_halton_sequence():
    over = {RATE: LogUniform(1e-3, 1e-1), "optimizer.momentum": Uniform(0.5, 1.0)}
    row = Tuned(name="best", run=RUN, over=over, budget=5)
    points = qmc.Halton(2, rng=np.random.default_rng(0)).random(5)
    np.testing.assert_allclose(rates(row), 1e-3 * 100 ** points[:, 0], rtol=5e-3)
    momenta = [trial.optimizer.momentum for trial in row.trials]
    np.testing.assert_allclose(momenta, 0.5 + 0.5 * points[:, 1], rtol=5e-3)
    assert row.replace(budget=9).trials[:5] == row.trials


def test_items_of_tuples_are_named():
    over = {"tasks.row.auxiliary.mask.threshold": (0.7, 0.9)}
    row = Tuned(name="best", run=UNLABELLED, over=over)
    assert [trial.tasks[0].auxiliary.mask.threshold for trial in row.trials] == [0.7, 0.9]


def test_one_word_tunes_rows_alike():
    rows = tune((RUN, UNLABELLED), {RATE: (0.1, 0.2)}, budget=2)
    assert [row.name for row in rows] == ["hard tuned", "fixmatch tuned"]
    assert [len(row.trials) for row in rows] == [2, 2]
    assert len(Experiment(runs=(), tuned=rows).trials) == 4


WRONG = [
    ({"over": {}}, "over must name at least one field"),
    (
        {"over": {RATE: [0.1, 1.0]}},
        "over must be a tuple, Uniform or LogUniform for 'optimizer.learning_rate'",
    ),
    ({"over": {RATE: ()}}, "over must hold different values"),
    ({"over": {RATE: (0.1, 0.1)}}, "over must hold different values"),
    ({"over": {"optimizer.rate": (0.1,)}}, "SGD has no field 'rate'"),
    ({"over": {RATE: (0.1, -1.0)}}, "learning_rate must be at least 0"),
    (
        {"over": {RATE: LogUniform(0.1, 1.0)}},
        "budget must be given, since optimizer.learning_rate",
    ),
    ({"over": {RATE: (0.1, 0.2)}, "budget": 3}, "budget must be from 1 to 2"),
    ({"over": {RATE: (0.1, 0.2)}, "budget": 0}, "budget must be from 1 to 2"),
    ({"over": {RATE: (0.1,)}, "metric": "row/f1"}, "metric must be one of"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=[m for _, m in WRONG])
def test_a_wrong_search_is_refused(settings, message):
    with pytest.raises(BadInput, match=message):
        Tuned(name="best", run=RUN, **settings)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, 1.0), (0.0, 1.0)])
def test_a_distribution_needs_an_interval(low, high):
    with pytest.raises(BadInput, match="LogUniform"):
        LogUniform(low, high)


def test_a_tuned_row_has_a_name_of_its_own():
    with pytest.raises(BadInput, match="tuned must have names that no other row has"):
        Experiment(runs=(RUN,), tuned=(Tuned(name=RUN.name, run=RUN, over={RATE: (0.1,)}),))
