"""The README is true: its Python runs, its commands exist, CI runs them."""

import pathlib
import re
import shlex

import pytest

import launch
from mtl_jax.runner.run_selection import load_experiment, override, select_runs

ROOT = pathlib.Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
LAUNCHES = re.findall(r"python launch\.py (.+)", TEXT)


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_runs(code, capsys):
    """Users' own settings: without the strict promotion of the tests, as in a script."""
    scope = {}
    exec(code, scope)  # noqa: S102
    assert ("print(" not in code) or capsys.readouterr().out.strip()


def test_uses_are_shown():
    assert sum("print(" in code for code in PYTHON) == 3


@pytest.mark.parametrize("arguments", LAUNCHES)
def test_commands_are_understood(arguments, monkeypatch):
    monkeypatch.chdir(ROOT)
    options = launch.parse(shlex.split(arguments))
    experiment = override(load_experiment(options.experiment), options.set, options.only)
    experiment = select_runs(experiment, options.seeds, options.only, options.smoke)
    assert experiment.runs


def test_ci_runs_the_commands():
    script = (ROOT / ".ci" / "run").read_text()
    for needed in ("pip", "pytest", "--list", "--dry", "--smoke", "--only"):
        assert needed in script


def test_it_can_be_scanned():
    assert len(TEXT.encode()) <= 9 * 1024
    assert max(len(cell) for line in TEXT.splitlines() for cell in line.split("|")) <= 200
    cells = [cell for line in TEXT.splitlines() if line.startswith("|") for cell in line.split("|")]
    assert max(map(len, cells)) <= 100
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    assert links and all((ROOT / link).exists() for link in links)


def test_its_numbers_are_those_of_the_whole_table():
    whole = (ROOT / "experiments" / "tables" / "digits.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TEXT.splitlines()
            if line.startswith("| ") and "±" in line]  # fmt: skip
    for name, *cells in rows:
        lines = [
            line
            for line in whole.splitlines()
            if line.startswith(("| " + name, "| left " + name, "| right " + name))
        ]
        assert all(any(cell in line for line in lines) for cell in cells if cell != "-"), name
