"""A rate that falls on plateaus of validation: by seed, resumed, and where a run diverged."""

import signal

import numpy as np
import pytest

from mtl_jax import Experiment, optimizers
from mtl_jax.config.optimizers import SGD, ReduceOnPlateau
from mtl_jax.report.selection import improved_seeds
from mtl_jax.runner import training
from mtl_jax.runner.divergence import Diverged
from mtl_jax.runner.signals import Stopped
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_directory import RunDirectory
from tests.small import ROW, RUN

STILL = SGD(1e-12, momentum=0.0)
FLAT = RUN.replace(
    tasks=(ROW,),
    optimizer=ReduceOnPlateau(STILL, factor=0.5, patience=1),
    evaluation={"every": 2, "checkpoint_every": 4},
)


def record(step, *values):
    by_model = {"row": {"accuracy": list(values)}}
    return {"step": step, "validation": {"raw": by_model, "ema": by_model}}


def launched(run, folder):
    sweep(Experiment(runs=(run,)), Experiment(runs=(run,)), folder)
    return RunDirectory(folder, run)


@pytest.fixture
def scales(monkeypatch):
    """The scale of every seed after each evaluation, by step."""
    found, observe = {}, training.Training.observe

    def observed(self, state, step):
        state = observe(self, state, step)
        found[step] = np.asarray(state.opt_state.scale)
        return state

    monkeypatch.setattr(training.Training, "observe", observed)
    return found


def test_which_seeds_got_better():
    records = [record(2, 0.5, 0.5), record(4, 0.6, 0.5), record(6, 0.6, 0.7)]
    found = [improved_seeds(FLAT, records[:count]).tolist() for count in (1, 2, 3)]
    assert found == [[True, True], [True, False], [False, True]]


def test_the_rate_falls_after_every_evaluation_that_is_no_better(scales, tmp_path):
    """The first is the best so far; its equals are no better."""
    launched(FLAT, tmp_path)
    assert {step: scale.tolist() for step, scale in scales.items()} == {
        2: [1.0, 1.0], 4: [0.5, 0.5], 6: [0.25, 0.25], 8: [0.125, 0.125]
    }  # fmt: skip


def test_an_interrupted_run_ends_as_one_that_was_not(scales, tmp_path, monkeypatch):
    """The rates of the second half depend on the evaluations of the first."""
    run = FLAT.replace(optimizer=ReduceOnPlateau(SGD(0.3), factor=0.1, patience=1), steps=12)
    straight = launched(run, tmp_path / "straight").result()
    whole, evaluate = dict(scales), training.Training.evaluate
    scales.clear()

    def interrupted(self, step):
        evaluate(self, step)
        if step == 6:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(training.Training, "evaluate", interrupted)
        launched(run, tmp_path / "stopped")
    assert max(scales) == 6
    assert launched(run, tmp_path / "stopped").result() == straight
    assert {step: scale.tolist() for step, scale in scales.items()} == {
        step: scale.tolist() for step, scale in whole.items()
    }
    assert min(scale.min() for scale in whole.values()) < 1.0


def test_a_divergence_is_looked_for_at_the_rate_of_its_step(tmp_path, monkeypatch):
    """The blocks since the start are repeated, and so is what their evaluations did."""
    repeated = {}

    def located(compiled, state, data, steps, *_):
        repeated[steps] = np.asarray(state.opt_state.scale).tolist()
        return Diverged("it diverged")

    monkeypatch.setattr(training, "locate", located)
    burst = optimizers.StepSchedule(1e-12, (0.75,), 1e35)
    run = FLAT.replace(
        optimizer=ReduceOnPlateau(SGD(burst, momentum=0.0), factor=0.5, patience=1),
        evaluation={"checkpoint_every": 100},
    )
    folder = launched(run, tmp_path)
    assert folder.failure() == "it diverged"
    assert repeated == {range(7, 9): [0.25, 0.25]}
