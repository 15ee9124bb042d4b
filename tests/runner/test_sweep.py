"""Launching: each run is trained once, goes on where it was left, and leaves its files."""

import json
import pathlib
import sys

import pytest
from threadpoolctl import threadpool_info

import launch
from mtl_jax import data
from mtl_jax.config.experiment import Experiment
from mtl_jax.runner import progress, train_programs, training
from mtl_jax.runner.launch import launch as run_launch
from mtl_jax.runner.run_selection import select_runs, topological_order
from mtl_jax.storage.run_directory import RunDirectory
from tests.runner.launching import experiment_file, launched
from tests.small import ROW, RUN

FILE = """
from mtl_jax import aggregation
from mtl_jax.config.experiment import Experiment
from tests.runner.launching import experiment_file, launched
from tests.small import COLUMN, ROW, RUN

SHORT = RUN.replace(steps=6, evaluation={'every': 4, 'checkpoint_every': 2})
FIRST = SHORT.replace(name="first", tasks=(COLUMN,))
BOTH = SHORT.replace(name="both", balance=aggregation.PCGrad(), initialization={'init_from': FIRST})
EXPERIMENT = Experiment(
    runs=(BOTH, SHORT.replace(name="row alone", tasks=(ROW,)), FIRST.replace(name="column alone")),
    baselines=("row alone", "column alone"),
    max_population=1,
)
"""
RUNS = ["first", "both", "row alone", "column alone"]
SAME = ("result.json", "metrics.jsonl", "table.csv")


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
    return experiment_file(tmp_path_factory, FILE)


@pytest.fixture(scope="module")
def straight(file, tmp_path_factory):
    """The experiment trained in one go: its folder, and what the launch wrote."""
    out = tmp_path_factory.mktemp("straight") / "made" / "here"
    return out, launched(file, "--out", out)


@pytest.mark.slow
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
    tables = {"table.md", "table.csv", "table.tex"}
    figures = ("curves", "gains", "balance", "confusion", "calibration", "embedding", "mistakes")
    pictures = {f"{name}.{ending}" for name in figures for ending in ("png", "pdf")}
    assert made == {*RUNS, *tables, *pictures, "report.html", ".lock", ".locks"}
    for run in RUNS:
        files = {"run.json", "metrics.jsonl", "checkpoints", "result.json", "timing.json"}
        files |= {"selected", "selected.sha256"}
        assert {path.name for path in (out / run).iterdir()} == files
        records = lines_of((out / run / "metrics.jsonl").read_text())
        assert [record["step"] for record in records] == [4, 6]
        kept = {path.name for path in (out / run / "checkpoints").iterdir()}
        assert kept == {"4", "4.sha256", "6", "6.sha256"}
    for picture in ("curves.png", "gains.png", "balance.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
    lines = (out / "table.md").read_text().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:5]] == [RUNS[1], *RUNS[2:]]


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

    def trained(compiled, *_):
        raise AssertionError(f"{compiled.run.name} was trained again")

    monkeypatch.setattr(train_programs, "train_run", trained)
    before, table = times(out), (out / "table.md").read_bytes()
    (out / "table.md").unlink()
    assert launched(file, "--out", out) == (0, "", "")
    assert times(out) == before
    assert (out / "table.md").read_bytes() == table


def test_lapack_has_one_thread_before_another_compiles(file, tmp_path, monkeypatch):
    """SciPy, imported by two threads at once, can deadlock: this was seen."""
    found = []

    class Watched(train_programs.CompileAhead):
        def __enter__(self):
            libraries = [each for each in threadpool_info() if each["user_api"] == "blas"]
            found.extend(each["num_threads"] for each in libraries)
            assert "scipy.linalg" in sys.modules
            raise KeyboardInterrupt

    monkeypatch.setattr(train_programs, "CompileAhead", Watched)
    with pytest.raises(KeyboardInterrupt):
        launched(file, "--out", tmp_path)
    assert found and set(found) == {1}


def test_an_interrupted_run_goes_on_and_ends_the_same(straight, file, tmp_path, monkeypatch):
    """Each run is stopped at its first checkpoint, which lies between two evaluations."""
    ticks = []

    class Stopping(training.CheckpointManager):
        def save(self, step, *args):
            super().save(step, *args)
            self.wait()
            if step == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(training, "CheckpointManager", Stopping)
    monkeypatch.setattr(
        progress.ProgressDisplay, "update", lambda board, step, *_: ticks.append((board.name, step))
    )
    out = tmp_path / "out"
    arguments = (file, "--out", out, "--only", "both")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            launched(*arguments)
    listed = launched(*arguments, "--list")[1].splitlines()
    assert [line.split("  ")[1] for line in listed] == ["done", "step 0 of 6"]
    assert launched(*arguments)[0] == 0
    assert ticks == [(run, step) for run in RUNS[:2] for step in (2, 4, 6)]
    for run in RUNS[:2]:
        assert contents(out / run) == contents(straight[0] / run)
        assert len(contents(out / run)) == 2


def test_equal_runs_come_out_equal(straight):
    """They differ by name, and two of them had no name before: the source is no row."""
    out, _ = straight
    one, other = (json.loads((out / run / "result.json").read_text()) for run in RUNS[::3])
    assert one.pop("name") != other.pop("name")
    assert one == other
    records = [(out / run / "metrics.jsonl").read_bytes() for run in (*RUNS[::3], "row alone")]
    assert records[0] == records[1] != records[2]


def test_list(straight, file, tmp_path):
    out, _ = straight
    code, stdout, stderr = launched(file, "--out", out, "--list")
    assert (code, stderr) == (0, "")
    lines = [[c.strip() for c in line.split("  ") if c.strip()] for line in stdout.splitlines()]
    assert [line[2] for line in lines] == RUNS
    assert all("selected at" in line[-1] for line in lines)
    assert [line[1].strip() for line in lines] == ["done"] * 4
    prints = [line[0] for line in lines]
    assert len(set(prints)) == 4
    _, stdout, _ = launched(file, "--out", out, "--list", "--set", "batch_size=4")
    assert [line.split("  ")[1] for line in stdout.splitlines()] == [
        f"changed (was {fingerprint[:8]})" for fingerprint in prints
    ]
    _, stdout, _ = launched(file, "--out", tmp_path / "none", "--list")
    assert stdout.count("not begun") == 4 and not (tmp_path / "none").exists()


def test_dry_prints_sizes_and_touches_nothing(file, tmp_path, monkeypatch):
    monkeypatch.setattr(train_programs, "train_run", None)
    monkeypatch.setattr(data.Arrays, "load", None)
    out = tmp_path / "out"
    code, stdout, stderr = launched(file, "--out", out, "--dry")
    assert (code, stderr) == (0, "") and not out.exists()
    found = {line[:32].strip(): line[32:].split() for line in stdout.splitlines()}
    assert list(found) == RUNS
    sizes = {run: int(words[0]) for run, words in found.items()}
    one = 36 * 12 + 12 + 12 * 3 + 3  # kernel and bias of the trunk, of a head; by hand.
    assert sizes == {run: one + 39 * (run == "both") for run in RUNS}
    flops = {run: float(words[2]) for run, words in found.items()}
    least = 6 * 8 * 36 * 12 - 2 * 8 * 36 * 12  # Forward and back of the trunk, not to the images.
    assert all(least < flops[run] < 10 * least for run in RUNS)
    assert flops["row alone"] == flops["first"] < flops["both"]


def test_smoke_cuts_every_run_into_a_folder_of_its_own(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = launched(file, "--smoke", "--only", "row*", "--set", "steps=1000")
    assert code == 0 and stderr.startswith("row alone: 6 steps, ")
    out = pathlib.Path("results/tiny-smoke")
    records = lines_of((out / "row alone" / "metrics.jsonl").read_text())
    assert [record["step"] for record in records] == [3, 6]
    assert (out / "row alone" / "result.json").exists() and (out / "table.md").exists()
    assert not (out / "column alone").exists()


def test_a_run_that_diverges_is_said_in_a_line(file, tmp_path):
    options = ("--only", "row alone", "--set", "optimizer.learning_rate=1e30")
    code, stdout, stderr = launched(file, "--out", tmp_path, *options)
    assert (code, stdout) == (1, "")
    assert stderr.startswith("error: run 'row alone' diverged: loss/row is ")
    assert stderr.endswith(" in seed 0 at step 2, whose batch is in failure.npz\n")
    assert stderr.count("\n") == 1
    assert RunDirectory(tmp_path, RUN.replace(name="row alone")).result() is None


TARGET = RUN.replace(
    name="target", initialization={"init_from": RUN.replace(name="source", steps=9, num_seeds=2)}
)
ALL = Experiment(
    runs=(TARGET, RUN, RUN.replace(name="row alone", tasks=(ROW,)), RUN.replace(name="hard too")),
    baselines=("row alone",),
)


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (None, ["source", "target", "hard", "row alone", "hard too"]),
        ("hard", ["hard", "hard too"]),
        ("hard*o", ["hard too"]),
        ("ta?get", ["source", "target"]),
        ("source*", None),
    ],
)
def test_only(only, names):
    if names is None:
        with pytest.raises(ValueError, match="matches no run"):
            select_runs(ALL, None, only, False)
        return
    found = select_runs(ALL, None, only, False)
    assert [run.name for run in topological_order(found)] == names
    assert found.baselines == (("row alone",) if only is None else ())


def test_seeds_and_smoke_reach_the_sources():
    for run in topological_order(select_runs(ALL, 5, None, False)):
        assert run.num_seeds == 5 and run.steps == (9 if run.name == "source" else 8)
    for run in topological_order(select_runs(ALL, 5, None, True)):
        assert (run.num_seeds, run.steps, run.evaluation.every) == (2, 6, 3)
    for run in topological_order(select_runs(ALL, 1, None, True)):
        assert run.num_seeds == 1


def test_a_source_stands_before_its_run_even_when_it_is_a_row_below():
    experiment = Experiment(
        runs=(TARGET, TARGET.initialization.init_from, TARGET.replace(name="other"))
    )
    assert [run.name for run in topological_order(experiment)] == ["source", "target", "other"]


PARTS = """
from mtl_jax.config.experiment import Experiment
from tests.runner.launching import experiment_file, launched
from tests.small import COLUMN, ROW, RUN

ONE = RUN.replace(steps=1, num_seeds=1)
ROW_ALONE = ONE.replace(name="row alone", tasks=(ROW,))
EXPERIMENT = Experiment(runs=(ROW_ALONE, ONE.replace(name="column alone", tasks=(COLUMN,)), ONE))
"""


@pytest.mark.slow
def test_a_part_of_the_runs_leaves_the_others_in_the_table(tmp_path):
    """Two launches, each of one run: the table of the second shows both."""
    file = tmp_path / "parts.py"
    file.write_text(PARTS)
    for only in ("row alone", "column alone"):
        options = [str(file), "--out", str(tmp_path / "out"), "--only", only]
        assert run_launch(launch.parse(options)) == 0
    table = (tmp_path / "out" / "table.csv").read_text()
    assert "row alone" in table and "column alone" in table and "hard" not in table
