"""Exact resume: a launch that was killed, however often, ends bitwise as one that was not."""

import os
import pathlib
import re
import signal
from typing import NamedTuple

import numpy as np
import pytest

from mtl_jax.storage.files import read_json
from tests.faults.contents import contents
from tests.faults.killed_launch import Moment, killed_launch
from tests.runner.launching import launched

FOLDER = pathlib.Path(__file__).parent / "killed"
# A setting, since only many trials find what is rare.
TRIALS = int(os.environ.get("KILL_TRIALS", "1"))
KILLS = 3  # In a trial.
STATE = re.compile(r"\S+  (not begun|begun|step \d+ of \d+|done) +(\S.*?)(  \(selected at .*\))?")


class Straight(NamedTuple):
    """A launch without an interruption."""

    file: pathlib.Path
    contents: dict[str, object]
    complaints: set[str]
    writes: int
    seconds: float  # Of its rows, without what is before and after them.


def complaints(out: pathlib.Path) -> set[str]:
    """What launches that were not killed said, except which runs they trained."""
    lines = (out.parent / "stderr").read_text().splitlines()
    return {line for line in lines if re.match(r".*: \d+ steps, ", line) is None}


@pytest.fixture(scope="module", params=["every_kind", "descents"])
def straight(request, tmp_path_factory):
    """What an experiment leaves without an interruption."""
    file = FOLDER / f"{request.param}.py"
    out = tmp_path_factory.mktemp(request.param) / "out"
    code, writes = killed_launch(file, out)
    assert code == 0
    seconds = sum(read_json(path)["seconds"] for path in out.glob("*/timing.json"))
    return Straight(file, contents(out), complaints(out), writes, seconds)


def moments(rng: np.random.Generator, straight: Straight) -> list[Moment]:
    """When to kill, spread over a launch; half of the kills are at a write, the others after it."""
    kills = np.sort(rng.integers(0, straight.writes, KILLS))
    later = rng.uniform(0.0, straight.seconds / 10, KILLS) * rng.integers(0, 2, KILLS)
    return [
        Moment(1 + int(w), float(s)) for w, s in zip(np.diff(kills, prepend=0), later, strict=True)
    ]


def states(file: pathlib.Path, out: pathlib.Path) -> dict[str, str]:
    """What `--list` says of each row."""
    code, stdout, stderr = launched(file, "--out", out, "--list")
    assert (code, stderr) == (0, "")
    found = [STATE.fullmatch(line) for line in stdout.splitlines()]
    assert all(found), stdout
    return {match[2]: match[1] for match in found}


@pytest.mark.slow
@pytest.mark.parametrize("trial", range(TRIALS))
def test_a_launch_that_is_killed_ends_as_one_that_is_not(trial, straight, tmp_path):
    out, done = tmp_path / "out", set()
    for moment in moments(np.random.default_rng(trial), straight):
        code, _ = killed_launch(straight.file, out, moment)
        assert code in (-signal.SIGKILL, 0)
        said = states(straight.file, out)
        finished = {row for row, state in said.items() if state == "done"}
        assert done <= finished
        done = finished
        print(code, moment, said)
    code, _ = killed_launch(straight.file, out)
    assert code == 0
    assert contents(out) == straight.contents
    assert complaints(out) <= straight.complaints
