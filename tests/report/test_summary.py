"""Results: validation selects, for every seed, and test numbers decide nothing."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.report.summary import not_finite, summary, to_json
from tests.small import HEIGHT, ROW, RUN

TWO = RUN.replace(tasks=(ROW, HEIGHT))


def record(step, raw, ema, test=0.0):
    """An evaluation: validation accuracy of two seeds, error 0.1, and test numbers."""

    def metrics(accuracy):
        return {"row": {"accuracy": accuracy}, "height": {"mse": [0.1, 0.1]}}

    tests = {kind: metrics([test + n, test + n + 0.5]) for n, kind in enumerate(("raw", "ema"))}
    validation = {"raw": metrics(raw), "ema": metrics(ema)}
    train = {f"loss/{task.name}": [0.0, 0.0] for task in TWO.tasks}
    return {"step": step, "train": train, "validation": validation, "test": tests}


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
    result = summary(TWO.replace(first_seed=3), RECORDS, 7, 5)
    assert (result["seeds"], result["parameters"]) == ([3, 4], 7)
    assert result["trained_parameters"] == 5
    assert result["metrics"] == {
        "row": {"accuracy": {"higher_is_better": True, "scale": 100.0, "unit_free": True}},
        "height": {"mse": {"higher_is_better": False, "scale": 1.0, "unit_free": False}},
    }
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
    run = RUN.replace(tasks=(HEIGHT,), num_seeds=1)
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
    assert chosen(errors(values), RUN.replace(tasks=(HEIGHT,), num_seeds=1)) == [(2, "ema")]


def test_host_gives_what_json_can_hold():
    found = to_json({"a": {"b": jnp.array([0.1, 2.0], jnp.float32)}})
    assert found == {"a": {"b": [float(np.float32(0.1)), 2.0]}}
    assert json.loads(json.dumps(found)) == found


def test_steps_and_parameters_are_by_task_where_each_selects_for_itself():
    each = summary(TWO.replace(evaluation={"selection": "per_task"}), RECORDS, 7, 5)["selected"][0]
    assert each["step"] == {"row": 8, "height": 4}  # 0.7 first at 8; errors are equal.
    assert each["parameters"] == {"row": "ema", "height": "ema"}
    assert each["test"]["row"] == {"accuracy": 21.0} and each["test"]["height"] == {"mse": 0.1}


def counted(step, **bad):
    """A record with outputs that are not finite: by part, of raw and ema, of both seeds."""
    counts = {
        part: {
            kind: {"row": bad.get(f"{part}_{kind}", [0, 0]), "height": [0, 0]}
            for kind in ("raw", "ema")
        }
        for part in ("validation", "test")
    }
    return record(step, [0.5, 0.5], [0.5, 0.5]) | not_finite(counts)


def test_a_record_counts_only_what_is_not_finite():
    assert "not_finite" not in counted(4)
    assert counted(4, test_ema=[0, 1])["not_finite"]["test"]["ema"] == {"row": [0, 1], "height": [0, 0]}  # fmt: skip


def test_outputs_that_are_not_finite_are_told_by_task_and_part():
    records = [
        counted(4, test_raw=[1, 3], test_ema=[2, 0]),
        counted(8, test_ema=[1, 0]),
        counted(12),
    ]
    said = (
        "task 'row', test part: outputs that are not finite for up to 3 examples in 2 of 3 "
        "evaluations, the last at step 8; the metric is NaN there"
    )
    assert summary(TWO, records, 7, 5)["warnings"] == [said]
    (told,) = summary(TWO, [counted(4, validation_raw=[1, 0])], 7, 5)["warnings"]
    assert told.startswith("task 'row', validation part: ") and "up to 1 examples in 1 of 1" in told
    assert summary(TWO, RECORDS, 7, 5)["warnings"] == []


@pytest.mark.parametrize(("tasks", "said"), [(("row",), "'row' in no evaluation"),
                                             (("row", "height"), "'row', 'height' in no evaluation")])  # fmt: skip
def test_what_validation_cannot_judge_is_told(tasks, said):
    unjudged = record(4, [0.5, 0.5], [0.5, 0.5])
    for kind in ("raw", "ema"):
        for task in tasks:
            values = unjudged["validation"][kind][task]
            values.update({name: [math.nan, math.nan] for name in values})
    (told,) = summary(TWO, [unjudged], 7, 5)["warnings"]
    verb = "it does" if len(tasks) == 1 else "they do"
    assert said in told and told.endswith(f"{verb} not take part in the selection")
