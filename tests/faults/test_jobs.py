"""Rows in processes of their own, ended in every way: nothing is lost, and no process is left."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.storage.files import lock_row
from tests.faults.contents import contents
from tests.faults.test_signals import environment, handlers  # noqa: F401, a fixture for all.
from tests.faults.test_system import ROOT

EXPERIMENT = """
from mtl_jax import optimizers
from mtl_jax.config.experiment import Experiment
from tests.small import RUN

EACH = {"every": 20, "checkpoint_every": 200}
ONE = RUN.replace(name="one", steps=1600, evaluation=EACH)
TWO = ONE.replace(name="two", optimizer=optimizers.SGD(0.04))
NEXT = ONE.replace(name="next", steps=40, initialization={"init_from": TWO})
EXPERIMENT = Experiment(runs=(ONE, TWO, NEXT))
"""
FIRST = ("one", "two")  # They train at the same time.


def started(folder: pathlib.Path, *options: str) -> subprocess.Popen[str]:
    """A launch of the experiment above, as from a terminal: the first process of its group."""
    file = folder / "several.py"
    file.write_text(EXPERIMENT)
    command = [sys.executable, ROOT / "launch.py", file, "--out", folder / "out", *options]
    return subprocess.Popen(
        list(map(str, command)),
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Exit code and lines of a launch."""
    _, stderr = process.communicate()
    return process.returncode, stderr.splitlines()


def records(folder: pathlib.Path) -> list[int]:
    """Numbers of evaluations of the two rows that train at the same time."""
    paths = [folder / "out" / name / "metrics.jsonl" for name in FIRST]
    return [path.read_text().count("\n") if path.exists() else 0 for path in paths]


def in_training(folder: pathlib.Path, *options: str) -> subprocess.Popen[str]:
    """A launch of two jobs, when both have made progress."""
    before, process = records(folder), started(folder, "--jobs", "2", *options)
    while not all(new > old for new, old in zip(records(folder), before, strict=True)):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    return process


def workers(process: subprocess.Popen[str]) -> list[int]:
    """The processes that train rows of a launch."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in command_of(pid)]


def command_of(pid: str) -> bytes:
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


def wait_for_rows(folder: pathlib.Path) -> None:
    """Waits until no process trains the rows."""
    for name in FIRST:
        while True:
            try:
                lock_row(folder / "out", name).close()
                break
            except BadInput:
                time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc/self/task").exists(), reason="needs Linux")
def test_a_launch_that_is_ended_in_every_way_ends_as_one_that_is_not(tmp_path):
    straight = tmp_path / "straight"
    straight.mkdir()
    assert ended(started(straight))[0] == 0

    process = in_training(tmp_path)
    os.killpg(process.pid, signal.SIGINT)  # As Ctrl-C does.
    code, lines = ended(process)
    assert code == 130
    assert lines[-1] == "SIGINT: stopped; launch again to go on"
    assert len(lines) == 3
    for name in FIRST:
        (line,) = [
            line for line in lines if line.startswith(f"SIGTERM: run {name!r} stopped after")
        ]
        step = line.split()[6].rstrip(";")
        assert (tmp_path / "out" / name / "checkpoints" / f"{step}.sha256").exists()

    process = in_training(tmp_path)
    process.kill()  # Its processes stop by themselves.
    _, lines = ended(process)
    assert sorted(line.split()[2] for line in lines) == ["'one'", "'two'"]
    wait_for_rows(tmp_path)

    process = in_training(tmp_path)
    os.kill(workers(process)[0], signal.SIGKILL)
    code, lines = ended(process)
    assert code == 1
    assert lines[0] == "error: run 'one': its process ended with SIGKILL"
    assert [line.split(":")[0] for line in lines[1:]] == ["two", "next"]
    assert "| one  | failed" in (tmp_path / "out" / "table.md").read_text()

    assert ended(started(tmp_path, "--jobs", "2"))[0] == 0
    assert contents(tmp_path / "out") == contents(straight / "out")
