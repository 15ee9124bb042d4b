"""A run that fails: the others go on, the table has it, and `--retry` trains it again."""

import csv
import json

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
EXPERIMENT = Experiment(runs=(WRONG, NEXT, LAST, ONE.replace(name="fine")))
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

    monkeypatch.setattr("mtl_jax.runner.sweep.train_run", train_run)
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
