"""A run that fails: the others go on, the table has it, and `--retry` trains it again."""

import csv
import json
import pathlib
import shlex
import subprocess

import pytest

from mtl_jax.storage.run_directory import RunDirectory
from tests.runner.launching import launched
from tests.small import RUN

BODY = """
from mtl_jax import optimizers
from mtl_jax.config.experiment import Experiment
from tests.small import COLUMN, ROW, RUN

ONE = RUN.replace(tasks=(ROW,), num_seeds=1, steps=4)
WRONG = ONE.replace(name="diverges", optimizer=optimizers.SGD({rate}))
NEXT = ONE.replace(name="next", initialization={{"init_from": WRONG}})
LAST = ONE.replace(name="last", initialization={{"init_from": NEXT}})
EXPERIMENT = Experiment(
    runs=(WRONG, NEXT, LAST, ONE.replace(name="fine")), max_population=1
)
"""

SAFE = """
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.study_design import SafeTransfer
from tests.small import ROW, RUN

EACH = {"every": 1, "checkpoint_every": 1}
ONE = RUN.replace(tasks=(ROW,), num_seeds=1, steps=2, evaluation=EACH)
RUNS = (ONE.replace(name="transfer"), ONE.replace(name="scratch"))
SAFE = (SafeTransfer("safe", "transfer", ("scratch",)),)
EXPERIMENT = Experiment(runs=RUNS, safe_transfer=SAFE)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "experiment.py"
    path.write_text(BODY.format(rate="1e30"))
    return path


def names_in(out):
    return [line["run"] for line in csv.DictReader((out / "table.csv").read_text().splitlines())]


@pytest.mark.slow
def test_the_others_go_on_and_the_table_says_why(file, tmp_path):
    out = tmp_path / "out"
    code, _, stderr = launched(file, "--out", out)
    assert code == 1
    lines = stderr.splitlines()
    assert lines[0].startswith("error: run 'diverges' diverged: ")
    assert lines[1] == "error: run 'next' needs diverges, which failed"
    assert lines[2] == "error: run 'last' needs next, which failed"
    assert lines[3].startswith("fine: 4 steps, ") and len(lines) == 4
    assert set(names_in(out)) == {"fine"}
    table = (out / "table.md").read_text()
    cells = [[cell.strip() for cell in line.split("|")[1:4]] for line in table.splitlines()]
    for name, reason in (("diverges", lines[0]), ("next", lines[1]), ("last", lines[2])):
        assert [name, "failed", "-"] in cells
        assert f"\n- {name} failed: {reason.removeprefix('error: ')}\n" in table
    assert not (out / "next").exists()
    reason = json.loads((out / "diverges" / "failure.json").read_text())["reason"]
    assert reason == lines[0].removeprefix("error: ")

    # It is not tried again unless asked.
    assert ", failed" in launched(file, "--out", out, "--list")[1].splitlines()[0]
    code, _, stderr = launched(file, "--out", out)
    assert code == 1 and stderr.splitlines() == [
        f"{lines[0]} (in an earlier launch; --retry trains it again)",
        *lines[1:3],
    ]
    code, _, stderr = launched(file, "--out", out, "--retry")
    assert code == 1 and stderr.splitlines() == lines[:3]


def test_an_exception_in_training_is_of_its_run(file, tmp_path, monkeypatch):
    """Stands for a full disk, a lost folder or too little memory: what trains next is fine."""

    def train_run(compiled, folders, *_):
        run = compiled.run
        if run.name == "diverges":
            raise OSError(28, "No space left on device", str(folders[run.name].path))
        raise MemoryError

    monkeypatch.setattr("mtl_jax.runner.train_programs.train_run", train_run)
    out = tmp_path / "out"
    code, _, stderr = launched(file, "--out", out, "--only", "*i*")
    first, second = stderr.splitlines()
    assert code == 1
    assert first.startswith("error: run 'diverges': ") and first.endswith(f"'{out}/diverges'")
    assert second == "error: run 'fine': does not fit into memory"
    assert not (out / "table.md").exists()


def test_a_failure_of_other_settings_does_not_count(tmp_path):
    folder = RunDirectory(tmp_path, RUN)
    folder.create()
    folder.write_failure("it was too large")
    assert folder.failure() == "it was too large"
    assert RunDirectory(tmp_path, RUN.replace(steps=9)).failure() is None
    folder.write_result({}, {"seconds": 1.0})
    assert folder.failure() is None


@pytest.mark.slow
def test_a_row_put_together_of_one_that_fails_is_no_bar(tmp_path):
    file, out = tmp_path / "safe.py", tmp_path / "out"
    file.write_text(SAFE)
    assert launched(file, "--out", out)[0] == 0
    assert set(names_in(out)) == {"transfer", "scratch", "safe"}
    (out / "transfer" / "result.json").write_text("{")
    code, _, stderr = launched(file, "--out", out)
    assert code == 1 and stderr.startswith("error: ") and stderr.count("\n") == 1
    assert set(names_in(out)) == {"scratch"}
    assert (
        "- safe failed: row 'safe' needs transfer, which failed\n" in (out / "table.md").read_text()
    )


@pytest.mark.slow
def test_the_table_of_some_rows_has_what_failed_before(file, tmp_path):
    out = tmp_path / "out"
    assert launched(file, "--out", out, "--only", "diverges")[0] == 1
    assert launched(file, "--out", out, "--only", "fine")[0] == 0
    assert "- diverges failed: run 'diverges' diverged" in (out / "table.md").read_text()
    # What says why it failed is damaged.
    (out / "diverges" / "failure.json").write_text("{")
    code, _, stderr = launched(file, "--out", out, "--only", "*i*")
    told = "error: 'diverges' failed, and its failure.json is damaged (in an earlier launch; "
    assert code == 1 and stderr.startswith(told)


def test_a_failure_without_room_for_the_settings_is_no_bar(tmp_path):
    folder = RunDirectory(tmp_path, RUN)
    folder.path.mkdir()
    folder.write_failure("the disk was full")
    folder.check()


def test_the_command_is_right_for_a_name_like_an_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = RunDirectory(pathlib.Path(), RUN.replace(name="-n it's  ü"))
    folder.create()
    subprocess.run(shlex.split(str(folder.damaged(folder.path)).partition(": ")[2]), check=True)
    assert not folder.path.exists()
