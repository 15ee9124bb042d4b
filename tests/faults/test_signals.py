"""A launch that a signal stops: a checkpoint, one line, its exit code, and an exact resume."""

import signal
import subprocess
import time

import pytest

from mtl_jax.runner.signals import Stopped, StopSignals
from tests.runner.test_resume import command, contents, environment, measured, straight  # noqa: F401


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
