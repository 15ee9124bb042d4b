"""The command `--compare A B`: what it prints, writes and refuses."""

import pathlib

import pytest

import launch
from mtl_jax.runner.launch import launch as run_launch
from tests.small import RUN

VALUES = {"row": [0.5, 0.75], "column": [0.5, 0.5]}


@pytest.fixture
def folders(finished, tmp_path):
    for below in "AB":
        finished(RUN, VALUES, below=below)
    return [str(tmp_path / below) for below in "AB"]


def compared(*arguments):
    return run_launch(launch.parse(["--compare", *arguments]))


def test_it_prints_and_writes_nothing(folders, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    assert compared(*folders) == 0
    out, err = capsys.readouterr()
    assert out.startswith("| row ") and f"A is {folders[0]}, B is {folders[1]}." in out
    assert "| hard      | row accuracy % ↑    | 2     |" in out and err == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_out_keeps_what_is_printed(folders, tmp_path, capsys):
    assert compared(*folders, "--out", str(tmp_path / "new" / "out")) == 0
    written = tmp_path / "new" / "out"
    assert (written / "comparison.md").read_text() == capsys.readouterr().out
    lines = (written / "comparison.csv").read_text().splitlines()
    assert lines[0].startswith("row,task,metric,better,") and len(lines) == 1 + 2 + 1
    assert {path.name for path in written.iterdir()} == {"comparison.md", "comparison.csv"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda a, b: [a, a], "--compare must be given two folders"),
        (lambda a, b: [a, f"{b}x"], "Bx does not exist"),
        (lambda a, b: [a, b, "--out", f"{a}/hard/run.json"], "--out must be a folder: "),
    ],
)
def test_errors_are_one_line(change, said, folders, capsys):
    assert compared(*change(*folders)) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and said in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "an experiment is required, or --compare A B"),
        (["--list"], "an experiment is required, or --compare A B"),
        (["--compare", "A"], "argument --compare: expected 2 arguments"),
        (
            ["x.py", "--compare", "A", "B"],
            "--compare allows --out and --debug beside it, not exper",
        ),
        (["--compare", "A", "B", "--only", "x", "--seeds", "0"], "beside it, not only, seeds"),
        (["--compare", "A", "B", "--set", "steps=1"], "beside it, not set"),
        (["--compare", "A", "B", "--compare", "A", "B"], "argument --compare: is given twice"),
    ],
)
def test_the_command_line_says_what_goes_together(arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        launch.parse(arguments)
    err = capsys.readouterr().err
    assert stopped.value.code == 2 and said in err and err.count("\n") == 1


def test_what_is_allowed_beside_it():
    options = launch.parse(["--compare", "A", "B", "--out", "C", "--debug"])
    assert options.compare == [pathlib.Path("A"), pathlib.Path("B")]
