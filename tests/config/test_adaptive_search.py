"""Searches in which results lead to later trials: which trials these are."""

import numpy as np
import pytest

from mtl_jax import TPE, Halving, LogUniform, Tuned, Uniform, tune
from mtl_jax.config.adaptive_search import Trial
from mtl_jax.core.validation import BadInput
from tests.small import RUN

RATE, MOMENTUM = "optimizer.learning_rate", "optimizer.momentum"
GRID = {RATE: (0.01, 0.02, 0.04), MOMENTUM: (0.0, 0.5, 0.9)}
DRAWN = {RATE: LogUniform(1e-4, 1.0), MOMENTUM: Uniform(0.0, 0.9)}


def finish(row, rate):
    """The row with all trials that the ratings of a function of the values lead to."""
    while True:
        ratings = np.array([rate(*own.values) for own in row.settings])
        later = row.search.following(row.history(ratings))
        if not later:
            return row
        row = row.replace(later=(*row.later, *later))


def near(rate, momentum):
    """Best at a rate of 0.01 and a momentum of 0.5."""
    return -((np.log10(rate) + 2) ** 2) - (momentum - 0.5) ** 2


def test_tpe_comes_nearer_than_a_sequence_that_learns_nothing():
    def gap(row):
        return max(near(*own.values) for own in row.settings)

    better = 0
    for seed in range(5):
        plain = Tuned(name="best", run=RUN, over=DRAWN, budget=32, seed=seed)
        row = finish(plain.replace(search=TPE()), near)
        assert len(row.trials) == 32
        assert row.settings[:8] == plain.settings[:8]
        better += gap(row) >= gap(plain)
        ratings = [near(*own.values) for own in row.settings]
        assert np.mean(ratings[16:]) > np.mean(ratings[:8])
    assert better >= 4


def test_tpe_is_the_same_again_and_tries_nothing_twice():
    rows = [finish(Tuned(name="best", run=RUN, over=GRID, search=TPE(4, 2)), near) for _ in "ab"]
    assert rows[0].settings == rows[1].settings
    assert len({own.values for own in rows[0].settings}) == 9


def test_tpe_takes_failed_trials_as_the_worst():
    def rate(rate, momentum):
        return -np.inf if rate > 1e-2 else -np.log10(rate)

    row = finish(Tuned(name="best", run=RUN, over=DRAWN, budget=24, search=TPE(8, 8)), rate)
    failed = [own.values[0] > 1e-2 for own in row.settings]
    assert sum(failed[16:]) < sum(failed[:8])


def test_halving_trains_fewer_settings_for_more_steps():
    row = Tuned(name="best", run=RUN.replace(steps=18), over=GRID, search=Halving(3, 2))
    assert {own.steps for own in row.settings} == {2}
    assert {(run.steps, run.evaluation.every) for run in row.trials} == {(2, 2)}
    assert row.finalists == []
    row = finish(row, near)
    assert [own.steps for own in row.settings] == [2] * 9 + [6] * 3 + [None]
    ranked = sorted((own.values for own in row.settings[:9]), key=lambda v: -near(*v))
    assert {own.values for own in row.settings[9:12]} == {*ranked[:3]}
    assert row.settings[12] == Trial((0.01, 0.5))
    (best,) = row.finalists
    assert (best.steps, best.optimizer.learning_rate) == (18, 0.01)
    assert best.name == "best, learning_rate=0.01, momentum=0.5"
    assert row.trials[9].name.endswith(", 6 steps")


def test_one_word_searches_rows_alike():
    rows = tune((RUN, RUN.replace(name="other")), DRAWN, budget=9, search=Halving())
    assert [len(row.trials) for row in rows] == [9, 9]


WRONG = [
    ({"search": TPE(10)}, "TPE.startup must be at most 9, not 10"),
    ({"search": Halving(4, 2)}, "Halving.factor to the power of rungs needs as many settings"),
    ({"search": Halving(3, 2), "run": RUN.replace(steps=8)}, "16, not 9 and 8|9, not 9 and 8"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG, ids=[m for _, m in WRONG])
def test_a_search_that_does_not_suit_is_refused(settings, message):
    with pytest.raises(BadInput, match=message):
        Tuned(**{"name": "best", "run": RUN, "over": GRID, **settings})


def test_numbers_are_checked():
    for make in (lambda: TPE(0), lambda: TPE(1, 0), lambda: Halving(1), lambda: Halving(2, 0)):
        with pytest.raises(BadInput, match="must be at least"):
            make()


def test_tpe_needs_optuna(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install mtl_jax\[tune\]"):
        TPE()
