"""Early stopping: where validation gets no better for several evaluations."""

import numpy as np
import pytest

from mtl_jax import Experiment, optimizers
from mtl_jax.core.validation import BadInput
from mtl_jax.report.selection import is_stopped
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.trained_params import load_trained_params
from tests.small import ROW, RUN

PATIENT = RUN.replace(tasks=(ROW,), num_seeds=2, evaluation={"every": 2, "patience": 3})


def record(step, *values):
    by_model = {"row": {"accuracy": list(values)}}
    return {"step": step, "validation": {"raw": by_model, "ema": by_model}}


def test_a_run_stops_when_no_seed_selected_a_recent_evaluation():
    first = [record(2, 0.5, 0.5), record(4, 0.6, 0.4)]
    worse = [record(6, 0.1, 0.1), record(8, 0.2, 0.2), record(10, 0.6, 0.5)]
    for count in range(3):
        assert not is_stopped(PATIENT, first + worse[:count])
    assert is_stopped(PATIENT, first + worse), "equals do not count"
    better = [*worse[:2], record(10, 0.6, 0.51)]
    assert not is_stopped(PATIENT, first + better), "one seed goes on"
    assert not is_stopped(PATIENT.replace(evaluation={"patience": None}), first + worse)


def test_each_task_counts_if_each_selects():
    run = RUN.replace(num_seeds=1, evaluation={"patience": 2, "selection": "per_task"})

    def both(step, row, column):
        by_model = {"row": {"accuracy": [row]}, "column": {"accuracy": [column]}}
        return {"step": step, "validation": {"raw": by_model, "ema": by_model}}

    start = [both(2, 0.9, 0.1), both(4, 0.5, 0.2)]
    assert not is_stopped(run, [*start, both(6, 0.4, 0.1)])
    assert is_stopped(run, [*start, both(6, 0.4, 0.1), both(8, 0.4, 0.2)])


def test_the_last_step_needs_no_patience():
    with pytest.raises(BadInput, match=r"Evaluation\.patience needs a selection by validation"):
        PATIENT.replace(evaluation={"selection": "last"})


def test_a_run_says_where_it_stopped_and_its_files_are_whole(tmp_path, capsys):
    still = PATIENT.replace(steps=40, optimizer=optimizers.SGD(1e-12, momentum=0.0))
    sweep(Experiment(runs=(still,)), Experiment(runs=(still,)), tmp_path)
    folder = RunDirectory(tmp_path, still)
    result = folder.result()
    assert result["last_step"] == 8 and [r["step"] for r in folder.records()] == [2, 4, 6, 8]
    text = "stopped at step 8 of 40: validation selected none of the last 3 evaluations"
    assert any(text in warning for warning in result["warnings"])
    assert text in (tmp_path / "table.md").read_text(encoding="utf-8")
    folder.check()
    raw = load_trained_params(still, folder, "raw", "row", "tested")
    assert all(np.isfinite(leaf).all() for leaf in raw[0]["shared"]["Dense_0"].values())
    (tmp_path / still.name / "result.json").unlink()  # Killed before it was written.
    sweep(Experiment(runs=(still,)), Experiment(runs=(still,)), tmp_path)
    assert folder.result() == result
