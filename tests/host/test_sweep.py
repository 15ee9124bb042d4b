"""Launching: each run is trained once, goes on where it was left, and leaves its files."""

import contextlib
import io
import json
import pathlib

import pytest

import launch
from mtl_jax.host import loop, sweep
from mtl_jax.host.experiment import asked, in_order
from mtl_jax.host.folder import Folder
from mtl_jax.run import Experiment
from tests.small import COLUMN, ROW, RUN

FILE = """
from mtl_jax import aggregation
from mtl_jax.run import Experiment
from tests.small import COLUMN, ROW, RUN

SHORT = RUN.but(steps=6, evaluate_every=4, checkpoint_every=2)
FIRST = SHORT.but(name="first", tasks=(COLUMN,))
BOTH = SHORT.but(name="both [/]", balance=aggregation.PCGrad(), source=FIRST)
EXPERIMENT = Experiment(
    runs=(BOTH, SHORT.but(name="row alone", tasks=(ROW,)), FIRST.but(name="column alone")),
    baselines=("row alone", "column alone"),
)
"""
RUNS = ["first", "both [/]", "row alone", "column alone"]
SAME = ("result.json", "metrics.jsonl", "table.csv")


def launched(file, *options):
    """Exit code, stdout and stderr of a launch in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = sweep.launch(launch.parse([str(file), *map(str, options)]))
    return code, out.getvalue(), err.getvalue()


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def contents(out):
    """What must be the same in every folder of the same runs."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.name in SAME
    }


def times(out):
    """When files that only training writes were written."""
    return {
        path: path.stat().st_mtime_ns
        for path in out.rglob("*")
        if path.name in ("result.json", "timing.json", "run.json", "metrics.jsonl")
        or "checkpoints" in path.parts
    }


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "tiny.py"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def straight(file, tmp_path_factory):
    """The experiment trained in one go: its folder, and what the launch wrote."""
    out = tmp_path_factory.mktemp("straight") / "made" / "here"
    return out, launched(file, "--out", out)


def test_every_run_is_trained_after_its_source_and_said_in_a_line(straight):
    _, (code, stdout, stderr) = straight
    assert (code, stdout) == (0, "")
    assert [line.split(":")[0] for line in stderr.splitlines()] == RUNS
    assert all(": 6 steps, " in line for line in stderr.splitlines())


def test_no_escape_codes_off_a_terminal(straight):
    _, (_, stdout, stderr) = straight
    assert "\x1b" not in stdout + stderr and "\r" not in stdout + stderr


def test_files_that_are_left(straight):
    out, _ = straight
    made = {path.name for path in out.iterdir()}
    tables, pictures = {"table.md", "table.csv", "table.tex"}, {"curves.png", "gains.png"}
    assert made == {*RUNS, *tables, *pictures, "balance.png", ".lock"}
    for run in RUNS:
        files = {"run.json", "metrics.jsonl", "checkpoints", "result.json", "timing.json"}
        assert {path.name for path in (out / run).iterdir()} == files
        records = lines_of((out / run / "metrics.jsonl").read_text())
        assert [record["step"] for record in records] == [4, 6]
        kept = {path.name for path in (out / run / "checkpoints").iterdir()}
        assert kept == {"4", "4.sha256", "6", "6.sha256"}
    for picture in ("curves.png", "gains.png", "balance.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    rows = (out / "table.md").read_text().splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:5]] == [RUNS[1], *RUNS[2:]]


def test_files_of_a_run_say_what_it_was(straight):
    out, _ = straight
    about = json.loads((out / "row alone" / "run.json").read_text())
    assert about["fields"]["steps"] == "6" and "jax" in about["versions"]
    result = json.loads((out / "row alone" / "result.json").read_text())
    assert result["seeds"] == [0, 1] and len(result["selected"]) == len(result["last"]) == 2
    assert "second" not in json.dumps(result) and len(result["state_sha256"]) == 64
    assert json.loads((out / "row alone" / "timing.json").read_text())["seconds"] > 0


def test_a_second_launch_trains_nothing(straight, file, monkeypatch):
    out, _ = straight

    def trained(run, *_):
        raise AssertionError(f"{run.name} was trained again")

    monkeypatch.setattr(sweep, "train_run", trained)
    before, table = times(out), (out / "table.md").read_bytes()
    (out / "table.md").unlink()
    assert launched(file, "--out", out) == (0, "", "")
    assert times(out) == before
    assert (out / "table.md").read_bytes() == table


def test_an_interrupted_launch_goes_on_and_ends_the_same(straight, file, tmp_path, monkeypatch):
    """Each run is stopped after its first checkpoint, between two evaluations."""
    ticks = []
    tick = sweep.Board.tick

    def noted(board, step, metrics):
        ticks.append((board.run.name, step))
        tick(board, step, metrics)

    class Stopping(loop.Checkpoints):
        def save(self, step, *args):
            super().save(step, *args)
            self.wait()
            raise KeyboardInterrupt

    monkeypatch.setattr(sweep.Board, "tick", noted)
    for name in RUNS:
        with monkeypatch.context() as patch:
            patch.setattr(loop, "Checkpoints", Stopping)
            if name == "both [/]":
                patch.setattr(loop, "trained_by", lambda *_: trained_by_source)
            with pytest.raises(KeyboardInterrupt):
                launched(file, "--out", tmp_path / "out", "--only", name.replace("[", "[[]"))
        assert ticks == [(name, 2)], "stopped at the first checkpoint"
        ticks.clear()
        if name == "first":
            trained_by_source = None
        break
    listed = launched(file, "--out", tmp_path / "out", "--list")[1]
    assert "step 0 of 6" in listed
    assert launched(file, "--out", tmp_path / "out")[0] == 0
    assert ticks[:2] == [("first", 4), ("first", 6)]
    assert contents(tmp_path / "out") == contents(straight[0])
