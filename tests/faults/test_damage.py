"""Damage to the files of a run: it says what to do in one line, and all others go on."""

import json
import pathlib
import shlex
import shutil
import subprocess

import pytest

from tests.runner.launching import launched

BODY = """
from mtl_jax.config.experiment import Experiment
from tests.small import COLUMN, ROW, RUN

ONE = RUN.replace(tasks=(ROW,), num_seeds=1, steps=2, evaluation={"every": 1, "checkpoint_every": 1})
EXPERIMENT = Experiment(runs=(ONE.replace(name="hurt"), ONE.replace(name="fine")))
"""


def change(function):
    """Damage that changes a JSON file."""

    def apply(path):
        found = json.loads(path.read_text())
        path.write_text(json.dumps(function(found)))

    return apply


def lines(function):
    """Damage that changes the lines of a file."""

    def apply(path):
        path.write_text("".join(function(path.read_text().splitlines(keepends=True))))

    return apply


def folder_instead(path):
    path.unlink()
    path.mkdir()


def file_instead(path):
    shutil.rmtree(path)
    path.write_text("a file")


def without(*names):
    return change(lambda found: {k: v for k, v in found.items() if k not in names})


def with_value(name, value):
    return change(lambda found: {**found, name: value})


EVERY = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zeros": lambda path: path.write_bytes(b"\0" * 512),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x80" * 99),
    "a list": lambda path: path.write_text("[1, 2]\n"),
    "a number": lambda path: path.write_text("3\n"),
    "a folder": folder_instead,
}
DAMAGE = {
    f"{name}, {kind}": (name, damage)
    for name in ("run.json", "result.json", "timing.json", "metrics.jsonl")
    for kind, damage in EVERY.items()
} | {
    "run.json, missing": ("run.json", pathlib.Path.unlink),
    "run.json, history is a number": ("run.json", with_value("history", 3)),
    "run.json, runs are a list": ("run.json", with_value("runs", ["src"])),
    "run.json, fields are a number": ("run.json", with_value("fields", 3)),
    "result.json, labels are a number": ("result.json", with_value("labels", 3)),
    "result.json, warnings are text": ("result.json", with_value("warnings", "none")),
    "timing.json, missing": ("timing.json", pathlib.Path.unlink),
    "metrics.jsonl, missing": ("metrics.jsonl", pathlib.Path.unlink),
    "timing.json, no seconds": ("timing.json", without("seconds")),
    "timing.json, seconds are text": ("timing.json", with_value("seconds", "12")),
    "result.json, nothing selected": ("result.json", without("selected")),
    "result.json, selected is a number": ("result.json", with_value("selected", 3)),
    "result.json, selected is text": ("result.json", with_value("selected", ["x"])),
    "result.json, no test": ("result.json", with_value("selected", [{"validation": {}}])),
    "result.json, no parameters": ("result.json", without("parameters")),
    "result.json, last step is text": ("result.json", with_value("last_step", "two")),
    "metrics.jsonl, one line": ("metrics.jsonl", lines(lambda found: found[:1])),
    "metrics.jsonl, line twice": ("metrics.jsonl", lines(lambda found: [*found, found[-1]])),
    "metrics.jsonl, in another order": ("metrics.jsonl", lines(lambda found: found[::-1])),
    "metrics.jsonl, half a line": ("metrics.jsonl", lines(lambda found: [*found, "{\n"])),
    "metrics.jsonl, step is text": (
        "metrics.jsonl", lines(lambda found: [line.replace('"step": 1', '"step": "1"') for line in found])
    ),
    "metrics.jsonl, no validation": (
        "metrics.jsonl", lines(lambda found: [line.replace("validation", "something") for line in found])
    ),
    "metrics.jsonl, of other tasks": (
        "metrics.jsonl", lines(lambda found: [line.replace('"row"', '"other"') for line in found])
    ),
    "checkpoints, a file": ("checkpoints", file_instead),
    "the folder, a file": (".", file_instead),
}  # fmt: skip
HARMLESS = {
    "checkpoints, missing": ("checkpoints", shutil.rmtree),
    "selected, missing": ("selected", shutil.rmtree),
    "selected.sha256, empty": ("selected.sha256", EVERY["empty"]),
    "a note, added": ("note.txt", lambda path: path.write_text("mine")),
    "result.json.half, left": ("result.json.half", lambda path: path.write_text("{")),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "damaged.py"
    path.write_text(BODY)
    return path


@pytest.fixture(scope="module")
def finished(file, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "out"
    assert launched(file, "--out", out)[0] == 0
    return out


@pytest.fixture
def out(finished, tmp_path, monkeypatch):
    """A copy of two finished runs."""
    monkeypatch.setattr("mtl_jax.report.figures.write", lambda *_: None)
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.slow
@pytest.mark.parametrize("damage", list(DAMAGE))
def test_the_run_says_what_to_do_and_the_other_goes_on(damage, out, file):
    name, apply = DAMAGE[damage]
    apply(out / "hurt" / name)
    shutil.rmtree(out / "fine")  # It is trained.
    code, _, stderr = launched(file, "--out", out)
    first, second = stderr.splitlines()
    assert code == 1 and second.startswith("fine: 2 steps, ")
    assert first.startswith(f"error: {out / 'hurt'}") and "; to train this run again: mv " in first
    table = [
        [c.strip() for c in line.split("|")] for line in (out / "table.md").read_text().splitlines()
    ]
    assert {line[1]: line[2] for line in table if len(line) > 3}["hurt"] == "failed"
    # Nothing is lost until somebody does what the line says, and then all is well.
    assert launched(file, "--out", out, "--list")[0] == 0
    subprocess.run(shlex.split(first.partition("again: ")[2]), check=True)
    assert launched(file, "--out", out)[0] == 0
    assert (out / "hurt.old").exists()


@pytest.mark.slow
@pytest.mark.parametrize("damage", list(HARMLESS))
def test_what_a_table_does_not_need_is_no_bar(damage, out, file):
    name, apply = HARMLESS[damage]
    apply(out / "hurt" / name)
    assert launched(file, "--out", out)[0] == 0


@pytest.mark.slow
def test_all_damage_at_once(out, file):
    for damaged in ("hurt", "fine"):
        (out / damaged / "run.json").write_text("{")
    code, _, stderr = launched(file, "--out", out)
    assert code == 1 and stderr.count("\n") == 2


def test_there_are_fifty():
    assert len(DAMAGE) + len(HARMLESS) >= 50


@pytest.mark.slow
def test_a_source_without_digests(tmp_path):
    file, out = tmp_path / "file.py", tmp_path / "out"
    file.write_text(
        BODY.replace('name="fine")', 'name="fine", initialization={"init_from": HURT})').replace(
            "EXPERIMENT", 'HURT = ONE.replace(name="hurt")\nEXPERIMENT'
        )
    )
    assert launched(file, "--out", out)[0] == 0
    without("state_sha256")(out / "hurt" / "result.json")
    code, _, stderr = launched(file, "--out", out)
    assert code == 0 and stderr.count("\n") == 1
    assert f"{out / 'hurt' / 'result.json'} has no digests; to train this run again: mv " in stderr


@pytest.mark.slow
def test_what_somebody_put_beside_checkpoints_stays(out, file):
    (out / "hurt" / "result.json").unlink()
    folder = out / "hurt" / "checkpoints"
    shutil.copytree(folder / "2", folder / "2 (copy)")
    (folder / "2 (copy of the hash).sha256").write_text("x")
    assert launched(file, "--out", out)[0] == 0
    assert (folder / "2 (copy)").is_dir() and (folder / "2").is_dir()
