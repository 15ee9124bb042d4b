"""The README is true: its Python runs, its commands exist, CI runs them."""

import pathlib
import re
import shlex

import pytest

import launch
from mtl_jax.runner.run_selection import asked, read

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
    assert sum("print(" in code for code in PYTHON) == 4


@pytest.mark.parametrize("arguments", LAUNCHES)
def test_commands_are_understood(arguments, monkeypatch):
    monkeypatch.chdir(ROOT)
    options = launch.parse(shlex.split(arguments))
    experiment = asked(
        read(options.experiment), options.set, options.seeds, options.only, options.smoke
    )
    assert experiment.runs


def test_ci_runs_the_commands():
    script = (ROOT / ".ci" / "run").read_text()
    for needed in ("pip", "pytest", "--list", "--dry", "--smoke", "--only"):
        assert needed in script
