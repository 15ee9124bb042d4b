"""A launch that a signal stops: a checkpoint, one line, its exit code, and an exact resume."""

import signal
import subprocess
import time

import pytest

from mtl_jax.config.experiment import Experiment
from mtl_jax.runner import train_loop
from mtl_jax.runner.signals import Stopped, StopSignals
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_directory import RunDirectory
from tests.runner.test_resume import command, contents, environment, measured, straight  # noqa: F401
from tests.small import RUN


def started(folder):
    """The launch of two runs, when some evaluations are there."""
    process = subprocess.Popen(
        command(folder),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and measured(folder) < 3:
        time.sleep(0.01)
    assert process.poll() is None
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_after_a_block_and_nothing_is_lost(number, straight, tmp_path):  # noqa: F811
    process = started(tmp_path)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    (line,) = stderr.splitlines()
    start, step, end = (
        line.partition(" after step ")[0],
        *line.partition(" after step ")[2].split("; "),
    )
    assert (start, end) == (f"{number.name}: run 'long' stopped", "launch again to go on")
    assert (tmp_path / "out" / "long" / "checkpoints" / f"{step}.sha256").exists()
    subprocess.run(command(tmp_path), check=True, env=environment(), capture_output=True)
    assert contents(tmp_path) == straight


@pytest.mark.slow
def test_a_second_one_ends_at_once(straight, tmp_path):  # noqa: F811
    process = started(tmp_path)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    subprocess.run(command(tmp_path), check=True, env=environment(), capture_output=True)
    assert contents(tmp_path) == straight


def test_outside_of_training_a_signal_raises_and_inside_it_waits():
    with StopSignals() as signals:
        with pytest.raises(Stopped) as stop:
            signal.raise_signal(signal.SIGTERM)
        assert (stop.value.exit_code, stop.value.name) == (143, "SIGTERM")
    with StopSignals() as signals, signals.deferred():
        signal.raise_signal(signal.SIGHUP)
        assert signals.number == signal.SIGHUP


def test_the_handlers_of_before_are_restored():
    before = signal.getsignal(signal.SIGTERM)
    with StopSignals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
def test_a_signal_in_the_last_block_stops_after_the_result(tmp_path, monkeypatch):
    evaluate = train_loop.Training.evaluate

    def interrupted(self, step):
        evaluate(self, step)
        if step == self.run.steps:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(train_loop.Training, "evaluate", interrupted)
    runs = tuple(RUN.replace(name=name, num_seeds=1, steps=4) for name in ("first", "second"))
    with pytest.raises(Stopped):
        sweep(Experiment(runs=runs), Experiment(runs=runs), tmp_path)
    assert RunDirectory(tmp_path, runs[0]).is_finished()
    assert not (tmp_path / "second").exists()
