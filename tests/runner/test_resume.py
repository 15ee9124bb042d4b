"""Exact resume: a run that was killed, however often, ends bitwise as one that was not."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

TRIALS = int(os.environ.get("KILL_TRIALS", "2"))
ROOT = pathlib.Path(__file__).parent.parent.parent
EXPERIMENT = """
from mtl_jax.config.experiment import Experiment
from tests.small import RUN, UNLABELLED

LONG = UNLABELLED.replace(name="long", steps=300, evaluation={'every': 10, 'checkpoint_every': 10})
NEXT = RUN.replace(name="next", initialization={'init_from': LONG}, steps=150, evaluation={'every': 10, 'checkpoint_every': 25})
EXPERIMENT = Experiment(runs=(LONG, NEXT))
"""


def command(folder: pathlib.Path) -> list[str]:
    """The launch of the experiment above, its results in a folder."""
    file = folder / "killed.py"
    file.write_text(EXPERIMENT)
    return [sys.executable, str(ROOT / "launch.py"), str(file), "--out", str(folder / "out")]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}


def contents(folder: pathlib.Path) -> dict[str, str]:
    """What must be the same: results (with the hash of the last state), measurements, table."""
    found = {}
    for path in sorted((folder / "out").rglob("*")):
        if path.name in ("result.json", "metrics.jsonl", "table.csv"):
            found[str(path.relative_to(folder))] = path.read_text()
    rows = (folder / "out" / "table.md").read_text().splitlines()
    seconds = [cell.strip() for cell in rows[0].split("|")].index("seconds")
    cells = [[c.strip() for c in row.split("|")] for row in rows if row.startswith("| ")]
    found["table"] = str([row[:seconds] + row[seconds + 1 :] for row in cells])
    return found


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """What the experiment leaves without an interruption."""
    folder = tmp_path_factory.mktemp("straight")
    subprocess.run(command(folder), check=True, env=environment(), capture_output=True)
    return contents(folder)


def measured(folder: pathlib.Path) -> int:
    """Lines of measurements that all runs have written so far."""
    return sum(path.read_text().count("\n") for path in folder.glob("out/*/metrics.jsonl"))


def killed_at(folder: pathlib.Path, lines: int, delay: float) -> bool:
    """Starts the experiment and kills it some time after so many measurements."""
    process = subprocess.Popen(command(folder), env=environment(), stderr=subprocess.DEVNULL)
    while process.poll() is None and measured(folder) < lines:
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def killed_while_saving(folder: pathlib.Path) -> bool:
    """Starts the experiment and kills it as soon as a checkpoint is half written."""
    process = subprocess.Popen(command(folder), env=environment(), stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if any((folder / "out").glob("*/checkpoints/*tmp*")):
            process.send_signal(signal.SIGKILL)
            break
    return process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(TRIALS))
def test_random_kills_resume_bitwise(straight, tmp_path, trial):
    """Kills at two random moments, then lets it end."""
    rng = np.random.default_rng(trial)
    moments = sorted(rng.integers(0, 40, size=2))
    kills = [killed_at(tmp_path, lines, rng.uniform(0.0, 0.1)) for lines in moments]
    assert any(kills)
    subprocess.run(command(tmp_path), check=True, env=environment(), capture_output=True)
    assert contents(tmp_path) == straight


@pytest.mark.slow
def test_a_kill_during_a_checkpoint_resumes_bitwise(straight, tmp_path):
    kills = [killed_while_saving(tmp_path) for _ in range(2)]
    assert any(kills)
    subprocess.run(command(tmp_path), check=True, env=environment(), capture_output=True)
    assert contents(tmp_path) == straight
