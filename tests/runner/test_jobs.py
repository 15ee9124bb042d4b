"""Rows in processes of their own: what one trains, which start when, and how their end is told."""

import argparse
import contextlib

import pytest

import launch
from mtl_jax.config.experiment import Experiment
from mtl_jax.runner.failures import Failures
from mtl_jax.runner.jobs import note_end, ready, row_options
from mtl_jax.runner.run_selection import rows_of
from mtl_jax.runner.signals import StopSignals
from mtl_jax.runner.sweep import NO_TRACKING
from mtl_jax.runner.train_programs import Sweep
from mtl_jax.storage.files import lock_row
from mtl_jax.storage.run_directory import RunDirectory
from tests.faults.contents import contents
from tests.runner.launching import launched
from tests.small import ROW, RUN

FILE = """
import functools

from mtl_jax import optimizers
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.sklearn_baseline import SklearnBaseline, logistic_regression
from tests.runner.launching import launched
from tests.small import COLUMN, DATA, ROW, RUN

ONE = RUN.replace(name="source", tasks=(ROW,), num_seeds=1, steps=2, evaluation={"every": 1})
TARGET = ONE.replace(name="target", initialization={"init_from": ONE})
WRONG = ONE.replace(name="wrong", tasks=(COLUMN,), optimizer=optimizers.SGD(1e30))
NEXT = ONE.replace(name="next", initialization={"init_from": WRONG})
FITTED = SklearnBaseline(
    name="fitted", data=DATA, task=ROW, num_labelled=24,
    candidates=(functools.partial(logistic_regression, C=1.0),),
)
EXPERIMENT = Experiment(runs=(TARGET, WRONG, NEXT), sklearn_baselines=(FITTED,))
"""
SOURCE = RUN.replace(name="source", tasks=(ROW,))
TARGET = SOURCE.replace(name="target", initialization={"init_from": SOURCE})
OTHER = SOURCE.replace(name="other")
EXPERIMENT = Experiment(runs=(TARGET, OTHER))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "several.py"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def straight(file, tmp_path_factory):
    """What one process leaves of the experiment, and its lines but for seconds."""
    out = tmp_path_factory.mktemp("straight")
    code, _, stderr = launched(file, "--out", out)
    assert code == 1
    return contents(out), {line.partition(" steps, ")[0] for line in stderr.splitlines()}


@pytest.mark.slow
def test_processes_leave_what_one_leaves(straight, file, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "4")  # As here.
    code, stdout, stderr = launched(file, "--out", tmp_path, "--jobs", 3)
    assert (code, stdout) == (1, "")
    stderr += capfd.readouterr().err  # Of the processes.
    assert {line.partition(" steps, ")[0] for line in stderr.splitlines()} == straight[1]
    assert contents(tmp_path) == straight[0]


@pytest.mark.slow
def test_rows_one_by_one_and_their_table_are_the_launch(straight, file, tmp_path):
    for name in ("fitted", "source", "target", "wrong"):
        code, _, stderr = launched(file, "--out", tmp_path, "--row", name)
        assert code == (name == "wrong") and not (tmp_path / "table.md").exists()
        assert launched(file, "--out", tmp_path, "--row", name)[0] == code  # Tries again.
    code, _, stderr = launched(file, "--out", tmp_path, "--table")
    assert code == 1 and "'next' needs wrong, which failed" in stderr
    found = contents(tmp_path)
    assert found == {name: value for name, value in straight[0].items() if name in found}
    assert straight[0].keys() - found.keys() == {".locks/next"}


def test_a_row_needs_what_it_starts_from(file, tmp_path):
    code, _, stderr = launched(file, "--out", tmp_path, "--row", "target")
    assert (code, stderr) == (2, "error: --row target: it needs source, which is not finished\n")
    code, _, stderr = launched(file, "--out", tmp_path, "--row", "tarket")
    assert (code, stderr) == (2, "error: --row tarket: matches no row; did you mean target?\n")


@pytest.mark.parametrize("options", [(), ("--jobs", 2), ("--row", "source")], ids=str)
def test_a_row_in_training_is_left_to_its_process(options, file, tmp_path):
    with lock_row(tmp_path, "source"):
        code, _, stderr = launched(file, "--out", tmp_path, *options)
    assert code == 2 and stderr.count("\n") == 1
    assert stderr.startswith("error: 'source' is in training by another process")
    assert not (tmp_path / "source").exists() and not (tmp_path / "fitted").exists()


def test_locks_of_two_rows_are_two(tmp_path):
    with lock_row(tmp_path, "one"), lock_row(tmp_path, "two"):
        pass


def test_a_row_starts_when_what_it_needs_is_done_with():
    source, target, other = rows_of(EXPERIMENT)
    assert ready([source, target, other], {}) == [source, other]
    assert ready([target], {"source": None}) == []
    assert ready([target], {"other": None}) == [target]


def test_what_fails_is_checked_before_a_process_starts(file, tmp_path, monkeypatch):
    monkeypatch.setattr("mtl_jax.runner.jobs.start", None)
    options = ("--jobs", 2, "--set", "labels.num_labelled=97")
    code, _, stderr = launched(file, "--out", tmp_path, *options)
    assert code == 2 and "must be at most 96" in stderr


@pytest.mark.parametrize(
    ("exit_code", "written", "said"),
    [
        (0, None, None),
        (1, "it diverged", "it diverged"),
        (-9, None, "run 'source': its process ended with SIGKILL"),
        (143, "of before", "run 'source': its process ended with exit code 143"),
    ],
)
def test_the_end_of_a_process(exit_code, written, said, tmp_path, capsys):
    folder = RunDirectory(tmp_path, SOURCE)
    folder.create()
    with contextlib.suppress(TypeError):
        folder.write_failure(written)
    own = Sweep(tmp_path, {"source": folder}, Failures(), StopSignals(), NO_TRACKING)
    note_end(own, "source", exit_code)
    assert own.failures.get("source") == said
    # What the process itself has printed is not printed again.
    assert capsys.readouterr().err == ("" if exit_code in (0, 1) else f"error: {said}\n")


def test_the_options_of_a_process_are_those_of_the_launch():
    options = launch.parse(["x.py", "--jobs", "2", "--fresh", "--seeds", "3", "--only", "a*"])
    same = launch.parse(["x.py", "--seeds", "3", "--only", "a*", "--row", "ab"])
    assert row_options(options, "ab") == argparse.Namespace(**vars(same))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--jobs 0", "--jobs: must be an integer of at least 1, not '0'"),
        ("--jobs two", "--jobs: must be an integer of at least 1, not 'two'"),
        ("--jobs 2 --jobs 3", "--jobs: is given twice"),
        ("--jobs 2 --table", "--table: not allowed with argument --jobs"),
        ("--row a --fresh", "--row: not allowed with --fresh or --retry"),
    ],
)
def test_options_that_are_refused(options, said, capsys):
    with pytest.raises(SystemExit) as exit:
        launch.parse(["x.py", *options.split()])
    assert exit.value.code == 2 and said in capsys.readouterr().err


def test_toy_runs_have_no_processes(tmp_path):
    file = tmp_path / "toy.py"
    file.write_text("from tests.faults.killed.descents import EXPERIMENT")
    code, _, stderr = launched(file, "--out", tmp_path / "out", "--jobs", 2)
    assert (code, stderr) == (
        2,
        "error: --jobs is for runs that train a model, not for toy runs\n",
    )
