"""A launch that a signal stops: a checkpoint, one line, its exit code, and an exact resume."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from mtl_jax import optimizers
from mtl_jax.config.experiment import Experiment
from mtl_jax.runner import training
from mtl_jax.runner.divergence import Diverged
from mtl_jax.runner.signals import Stopped, StopSignals
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_directory import RunDirectory
from tests.faults.contents import contents
from tests.faults.test_system import ROOT
from tests.small import RUN

EXPERIMENT = """
from mtl_jax.config.experiment import Experiment
from tests.small import RUN, UNLABELLED

EACH = {"every": 10, "checkpoint_every": 10}
LONG = UNLABELLED.replace(name="long", steps=300, evaluation=EACH)
NEXT = RUN.replace(name="next", initialization={"init_from": LONG}, steps=150, evaluation=EACH)
EXPERIMENT = Experiment(runs=(LONG, NEXT))
"""


def command(folder: pathlib.Path) -> list[str]:
    """The launch of the experiment above, its results in a folder."""
    file = folder / "stopped.py"
    file.write_text(EXPERIMENT)
    return [sys.executable, str(ROOT / "launch.py"), str(file), "--out", str(folder / "out")]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}


def launched_to_the_end(folder: pathlib.Path) -> dict[str, object]:
    """What a launch leaves that nothing stops."""
    subprocess.run(command(folder), check=True, env=environment(), capture_output=True)
    return contents(folder / "out")


@pytest.fixture(scope="module", autouse=True)
def handlers():
    """Signals are handled as in a terminal, also if the tests run in the background or by nohup."""
    defaults = {signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    defaults[signal.SIGINT] = signal.default_int_handler
    before = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """What the experiment leaves without an interruption."""
    return launched_to_the_end(tmp_path_factory.mktemp("straight"))


def measured(folder: pathlib.Path) -> int:
    """Lines of measurements that all runs have written so far."""
    return sum(path.read_text().count("\n") for path in folder.glob("out/*/metrics.jsonl"))


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
def test_a_signal_stops_after_a_block_and_nothing_is_lost(number, straight, tmp_path):
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
    assert launched_to_the_end(tmp_path) == straight


@pytest.mark.slow
def test_a_second_one_ends_at_once(straight, tmp_path):
    process = started(tmp_path)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert launched_to_the_end(tmp_path) == straight


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


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            signal.raise_signal(signal.SIGHUP)
        assert signals.number is None and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
def test_ctrl_c_while_the_experiment_is_read(tmp_path):
    file = tmp_path / "slow.py"
    file.write_text("raise KeyboardInterrupt")
    arguments = [sys.executable, str(ROOT / "launch.py"), str(file)]
    found = subprocess.run(arguments, check=False, capture_output=True, env=environment())
    assert found.returncode == 130
    assert found.stderr == b"SIGINT: stopped; launch again to go on\n"


@pytest.mark.slow
def test_a_signal_in_a_block_that_fails_stops_the_launch(tmp_path, monkeypatch, capsys):
    def interrupted(self, *block):
        signal.raise_signal(signal.SIGTERM)
        return Diverged("it diverged")

    monkeypatch.setattr(training.Training, "locate_divergence", interrupted)
    run = RUN.replace(optimizer=optimizers.SGD(1e30), num_seeds=1, steps=4)
    with pytest.raises(Stopped) as stop:
        sweep(Experiment(runs=(run,)), Experiment(runs=(run,)), tmp_path)
    assert stop.value.exit_code == 143 and capsys.readouterr().err == "error: it diverged\n"
    assert RunDirectory(tmp_path, run).failure() == "it diverged"


@pytest.mark.slow
def test_a_signal_in_the_last_block_stops_after_the_result(tmp_path, monkeypatch):
    evaluate = training.Training.evaluate

    def interrupted(self, step, *affinity):
        evaluate(self, step, *affinity)
        if step == self.run.steps:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(training.Training, "evaluate", interrupted)
    runs = tuple(RUN.replace(name=name, num_seeds=1, steps=4) for name in ("first", "second"))
    experiment = Experiment(runs=runs, max_population=1)
    with pytest.raises(Stopped):
        sweep(experiment, experiment, tmp_path)
    assert RunDirectory(tmp_path, runs[0]).is_finished()
    assert not (tmp_path / "second").exists()
