"""The catalogue is what the code says, names all that is exported, and its example runs."""

import inspect
import re

import pytest

from tests.catalogue import FAMILIES, PAGE, find, text

TEXT = PAGE.read_text()
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ")]
FACES = sorted({package for _, package, _ in FAMILIES} - {"config", "transfer.finetuning"})
NAMES = re.findall(r"^\| `([\w.]+)` \|", TEXT.split("## How to read")[1], re.MULTILINE)


def test_it_is_up_to_date():
    assert text() == TEXT, "run python -m tests.catalogue"


@pytest.mark.parametrize("package", FACES)
def test_every_export_is_in_it(package):
    members = vars(find(f"mtl_jax.{package}")).items()
    exported = {name for name, value in members if name[0] != "_" and not inspect.ismodule(value)}
    assert {f"{package}.{name}" for name in exported} - {*NAMES} == set()


def test_every_setting_of_an_experiment_is_in_it():
    names = {name.rsplit(".", 1)[1] for name in NAMES if name.startswith("config.")}
    assert {"Run", "Task", "Experiment", "Factorial", "BalanceOptions", "ToyRun"} <= names


def test_every_name_is_there_once():
    assert len({*NAMES}) == len(NAMES)
    for name in NAMES:
        module, _, last = f"mtl_jax.{name}".rpartition(".")
        assert hasattr(find(module), last), name


def test_cells_are_short():
    cells = [cell.strip() for row in ROWS for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
    assert [cell for cell in cells if len(cell) > 100 or not cell] == []


def test_rows_have_the_columns_of_their_table():
    for table in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE):
        widths = {len(re.split(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table.splitlines()[0]


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_the_example_runs(code, capsys):
    exec(code, {})  # noqa: S102
    assert capsys.readouterr().out.strip() == re.search(r"print\(.*\)  # (.*)", code)[1]
