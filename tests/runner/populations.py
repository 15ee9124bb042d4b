"""Trains runs without the table and figures, which take longer than the runs."""

import json
from unittest import mock

import jax
import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.runner import sweep


def launched(runs, root, most=None, mesh=None):
    """Trains runs, at most so many in a population; returns the exit code."""
    experiment = Experiment(runs=tuple(runs), max_population=most, mesh=mesh)
    with mock.patch.object(sweep, "write_report"):
        return sweep.sweep(experiment, experiment, root)


def train(runs, root, most=None, mesh=None):
    """Trains runs; returns their measurements."""
    assert launched(runs, root, most, mesh) == 0
    return {run.name: (root / run.name / "metrics.jsonl").read_text() for run in runs}


def numbers(text):
    """All numbers of a file of metrics, in order."""
    return np.array(
        [leaf for line in text.splitlines() for leaf in jax.tree.leaves(json.loads(line))], float
    )


def state_digests(root, runs):
    """Digests of the last states of runs."""
    return [json.loads((root / r.name / "result.json").read_text())["state_sha256"] for r in runs]


def assert_equal(found, expected):
    """Requires measurements that are equal up to rounding."""
    assert found.keys() == expected.keys()
    for name, text in expected.items():
        np.testing.assert_allclose(numbers(found[name]), numbers(text), rtol=1e-5, atol=1e-6)
