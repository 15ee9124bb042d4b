"""Populations: runs that differ in numbers only are one program, with the results of each alone."""

import json

import jax
import numpy as np
import pytest

from mtl_jax import aggregation, consistency, optimizers, weighting
from mtl_jax.config.experiment import Experiment
from mtl_jax.runner.population import can_share, group_runs
from mtl_jax.runner.sweep import sweep
from mtl_jax.runner.trace import trace_population
from tests.small import COLUMN, ROW, RUN, UNLABELLED

SGD = optimizers.SGD
RATES = tuple(
    RUN.replace(name=f"rate {rate}", optimizer=SGD(optimizers.CosineSchedule(rate)))
    for rate in (0.02, 0.05, 0.1)
)


def with_threshold(threshold):
    tasks = tuple(t.replace(auxiliary=consistency.FixMatch(threshold)) for t in (ROW, COLUMN))
    return UNLABELLED.replace(name=f"threshold {threshold}", tasks=tasks)


GROUPS = {
    "learning rate of a schedule": RATES,
    "weight decay": tuple(
        RUN.replace(name=f"decay {decay}", optimizer=optimizers.Adam(0.01, decay))
        for decay in (0.0, 0.1)
    ),
    "weights of losses": tuple(
        RUN.replace(name=f"weights {first}", balance=weighting.Constant((first, 2.0 - first)))
        for first in (0.5, 1.0, 1.5)
    ),
    "threshold of FixMatch": tuple(map(with_threshold, (0.34, 0.9))),
    "decay of the average": tuple(
        RUN.replace(name=f"ema {decay}", evaluation={"ema_decay": decay}) for decay in (0.5, 0.9)
    ),
    "aggregator": tuple(
        RUN.replace(name=f"cagrad {c}", balance=aggregation.CAGrad(c)) for c in (0.2, 0.5)
    ),
}


def train(runs, root, most=None):
    assert sweep(*[Experiment(runs=tuple(runs), max_population=most)] * 2, root) == 0
    return {run.name: (root / run.name / "metrics.jsonl").read_text() for run in runs}


def numbers(text):
    """All numbers of a file of metrics, in order."""
    return np.array(
        [leaf for line in text.splitlines() for leaf in jax.tree.leaves(json.loads(line))], float
    )


@pytest.mark.parametrize("runs", GROUPS.values(), ids=GROUPS)
def test_results_are_those_of_separate_runs(runs, tmp_path):
    assert group_runs(runs, None) == [runs]
    assert trace_population(runs, 4, None) is not None
    together, apart = train(runs, tmp_path / "together"), train(runs, tmp_path / "apart", most=1)
    for name, text in apart.items():
        np.testing.assert_allclose(numbers(together[name]), numbers(text), rtol=1e-5, atol=1e-6)
    assert len(set(together.values())) == len(runs)


def test_only_numbers_may_differ():
    other = RUN.replace(name="other", balance=aggregation.PCGrad())
    stops = RATES[0].replace(name="stops early", evaluation={"patience": 1})
    runs = (RATES[0], other, RATES[1], stops, RATES[2])
    assert group_runs(runs, None) == [RATES, (other,), (stops,)]
    assert group_runs(RATES, 2) == [RATES[:2], RATES[2:]]
    assert group_runs(RATES, 1) == [(run,) for run in RATES]
    assert not can_share(stops)
