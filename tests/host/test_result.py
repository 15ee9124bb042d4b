"""Results: validation selects, for every seed, and test numbers decide nothing."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.host.result import host, summary
from tests.small import HEIGHT, ROW, RUN

TWO = RUN.but(tasks=(ROW, HEIGHT))


def record(step, raw, ema, test=0.0):
    """An evaluation: validation accuracy of two seeds, error 0.1, and test numbers."""

    def metrics(accuracy):
        return {"row": {"accuracy": accuracy}, "height": {"mse": [0.1, 0.1]}}

    tests = {kind: metrics([test + n, test + n + 0.5]) for n, kind in enumerate(("raw", "ema"))}
    validation = {"raw": metrics(raw), "ema": metrics(ema)}
    return {"step": step, "validation": validation, "test": tests}


RECORDS = [
    record(4, [0.5, 0.9], [0.1, 0.2], test=10.0),
    record(8, [0.5, 0.3], [0.7, 0.4], test=20.0),
    record(9, [0.6, 0.8], [0.7, 0.9], test=30.0),
]


def chosen(records, run=TWO):
    return [(one["step"], one["parameters"]) for one in summary(run, records, 7, 5)["selected"]]


def test_each_seed_has_its_own_best_and_the_first_of_equals():
    # Seed 0: 0.7 first at 8; seed 1: 0.9 first at 4.
    assert chosen(RECORDS) == [(8, "ema"), (4, "raw")]


def test_averaged_parameters_come_first_in_a_tie():
    assert chosen([record(4, [0.5, 0.5], [0.5, 0.4])]) == [(4, "ema"), (4, "raw")]


def test_the_result_holds_what_was_chosen():
    result = summary(TWO.but(first_seed=3), RECORDS, 7, 5)
    assert (result["seeds"], result["parameters"]) == ([3, 4], 7)
    assert result["trained_parameters"] == 5
    first, second = result["selected"]
    assert first["validation"] == {"row": {"accuracy": 0.7}, "height": {"mse": 0.1}}
    assert first["test"]["row"] == {"accuracy": 21.0}
    assert second["test"]["row"] == {"accuracy": 10.5}
    assert [one["raw"]["row"]["accuracy"] for one in result["last"]] == [30.0, 30.5]
    assert [one["ema"]["row"]["accuracy"] for one in result["last"]] == [31.0, 31.5]


def test_what_papers_report():
    """The median of the last 20 averaged parameters, and the best of all by test data."""
    records = [record(step, [0.1, 0.1], [0.1, 0.1], test=float(step)) for step in range(1, 31)]
    result = summary(TWO, records, 7, 5)
    every = [r["test"]["ema"]["row"]["accuracy"][1] for r in records]
    assert result["median"][1]["row"]["accuracy"] == np.median(every[-20:])
    raw = [r["test"]["raw"]["row"]["accuracy"][1] for r in records]
    assert result["best_on_test"][1]["row"]["accuracy"] == max(every + raw)
    errors = [r["test"][k]["height"]["mse"][1] for r in records for k in ("raw", "ema")]
    assert result["best_on_test"][1]["height"]["mse"] == min(errors)


def test_test_data_decides_nothing():
    rng = np.random.default_rng(0)
    for _ in range(5):
        other = [
            r | record(0, [0, 0], [0, 0], test=float(rng.normal())) | {
                "validation": r["validation"], "step": r["step"]
            }
            for r in RECORDS
        ]  # fmt: skip
        assert [o["test"] for o in other] != [r["test"] for r in RECORDS]
        assert chosen(other) == chosen(RECORDS)


def test_an_error_counts_the_other_way():
    run = RUN.but(tasks=(HEIGHT,), seeds=1)
    assert chosen(errors([0.3, 0.1, 0.2]), run) == [(1, "ema")]


def errors(values):
    """Evaluations at steps 0, 1, ... of one seed's error."""
    kinds = [{kind: {"height": {"mse": [v]}} for kind in ("raw", "ema")} for v in values]
    return [{"step": n, "validation": v, "test": v} for n, v in enumerate(kinds)]


def test_tasks_weigh_alike():
    """Accuracy 0.5 and error 0.1 beat accuracy 0.9 and error 0.6."""
    better, worse = record(4, [0.5] * 2, [0.0] * 2), record(8, [0.9] * 2, [0.0] * 2)
    for kind in ("raw", "ema"):
        worse["validation"][kind]["height"]["mse"] = [0.6, 0.6]
    assert chosen([worse, better]) == [(4, "raw"), (4, "raw")]


@pytest.mark.parametrize("values", [[math.nan, 0.4, 0.2], [0.4, math.nan, 0.2]])
def test_what_is_no_number_is_never_chosen(values):
    assert chosen(errors(values), RUN.but(tasks=(HEIGHT,), seeds=1)) == [(2, "ema")]


def test_host_gives_what_json_can_hold():
    found = host({"a": {"b": jnp.array([0.1, 2.0], jnp.float32)}})
    assert found == {"a": {"b": [float(np.float32(0.1)), 2.0]}}
    assert json.loads(json.dumps(found)) == found
