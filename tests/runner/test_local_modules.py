"""Modules beside an experiment file: found by it, hiding nothing, and its own."""

import sys

import pytest

from mtl_jax.core.fingerprint import fingerprint
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import local_modules
from mtl_jax.runner.run_selection import load_experiment
from tests.runner.launching import launched

FILE = """
{imports}
from mtl_jax.config.experiment import Experiment
from tests.small import ROW, RUN

EXPERIMENT = Experiment(runs=(RUN.replace(name="mine", tasks=(ROW.replace(loss={loss}),)),))
"""
LOSS = """
from mtl_jax import losses

{more}
def mine(outputs, labels):
    return {by} * losses.cross_entropy(outputs, labels)
"""


@pytest.fixture(autouse=True)
def untouched():
    """Leaves what is importable as it was."""
    path, modules, folders = list(sys.path), dict(sys.modules), list(local_modules.folders)
    yield
    sys.path[:] = path
    local_modules.folders[:] = folders
    for name in set(sys.modules) - set(modules):
        if name.partition(".")[0] in ("experiments", "helpers", "inner", "colorsys"):
            del sys.modules[name]
    sys.modules.update(modules)


def written(folder, imports="import helpers", loss="helpers.mine", by=1.0, more=""):
    """An experiment file with a module beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "helpers.py").write_text(LOSS.format(by=by, more=more))
    file = folder / "file.py"
    file.write_text(FILE.format(imports=imports, loss=loss))
    return file


def loss_of(file):
    return load_experiment(file).runs[0].tasks[0].loss


@pytest.mark.parametrize(
    ("imports", "loss"),
    [
        ("import helpers", "helpers.mine"),
        ("from helpers import mine", "mine"),
        ("from .helpers import mine", "mine"),
        ("from . import helpers", "helpers.mine"),
        ("from experiments.helpers import mine", "mine"),
    ],
)
def test_a_module_beside_is_imported(tmp_path, imports, loss):
    found = loss_of(written(tmp_path, imports, loss))
    assert found.__globals__["__file__"] == str(tmp_path / "helpers.py")
    assert not (tmp_path / "__pycache__").exists()


def test_it_trains_and_an_edit_beside_is_another_run(tmp_path):
    file, options = written(tmp_path), ("--set", "steps=2", "--out", tmp_path / "out")
    assert launched(file, *options)[0] == 0
    assert launched(file, *options) == (0, "", "")
    written(tmp_path, by=2.0)
    code, _, said = launched(file, *options)
    assert code == 2 and "was written by another run" in said and "helpers.mine#" in said
    assert launched(file, *options, "--list")[1].split("  ")[1].startswith("changed (was ")


def test_it_may_be_imported_within_a_function_when_it_is_traced(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "__init__.py").write_text("BY = 2.0\n")
    written(
        tmp_path,
        "import helpers",
        by="late()",
        more="def late():\n    from inner import BY\n    return BY\n",
    )
    file = tmp_path / "file.py"
    assert launched(file, "--set", "steps=2", "--out", tmp_path / "out")[0] == 0
    one = fingerprint(load_experiment(file).runs[0])
    (tmp_path / "inner" / "__init__.py").write_text("BY = 3.0\n")
    assert fingerprint(load_experiment(file).runs[0]) != one


def test_two_experiments_have_their_own(tmp_path):
    one, other = (written(tmp_path / name, by=by) for name, by in (("a", 1.0), ("b", 2.0)))
    losses = [loss_of(file) for file in (one, other, one)]
    homes = [loss.__globals__["__file__"] for loss in losses]
    assert homes == [str(tmp_path / name / "helpers.py") for name in "aba"]
    (tmp_path / "b" / "helpers.py").unlink()
    with pytest.raises(ModuleNotFoundError, match="helpers"):
        load_experiment(other)


@pytest.mark.parametrize("name", ["json", "colorsys", "tests", "mtl_jax", "sklearn"])
def test_a_name_that_could_mean_two_is_refused(tmp_path, name):
    """Loaded already or not; of Python, of this package, or installed."""
    (tmp_path / f"{name}.py").write_text("x = 1\n")
    file = written(tmp_path, f"import helpers\nimport {name}")
    with pytest.raises(BadInput, match=rf"import {name} could mean .*{name}.py or .*; rename"):
        load_experiment(file)
    # Imported by a neighbour, and by nobody.
    written(tmp_path, more=f"import {name}")
    with pytest.raises(BadInput, match=f"import {name} could mean"):
        load_experiment(file)
    if name in ("colorsys", "sklearn"):
        assert loss_of(written(tmp_path)).__module__ == "helpers"


def test_nothing_beside_hides_what_is_installed(tmp_path):
    (tmp_path / "colorsys.py").write_text("raise AssertionError\n")
    loss_of(written(tmp_path))
    import colorsys

    assert colorsys.rgb_to_hsv(0, 0, 0) == (0.0, 0.0, 0)


def test_a_folder_that_can_be_imported_already_stays_where_it_is(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    loss_of(written(tmp_path))
    assert sys.path.count(str(tmp_path)) == 1 and sys.path[0] == str(tmp_path)


EDITED = """
import jax.numpy as jnp
from mtl_jax import losses
from mtl_jax.config.experiment import Experiment
from tests.small import ROW, RUN

SCALE = {scale}


def mine(outputs, labels):
    \"\"\"{text}\"\"\"
    return SCALE * losses.cross_entropy(outputs, labels)


ONE = RUN.replace(name="mine", steps=2, tasks=(ROW.replace(loss=mine),))
EXPERIMENT = Experiment(runs=(ONE, RUN.replace(name="ours", steps=2)))
"""


def test_an_edited_loss_is_another_run_and_its_text_is_not(tmp_path):
    file, options = tmp_path / "file.py", ("--out", tmp_path / "out")

    def launch(scale, text, *more):
        file.write_text(EDITED.format(scale=scale, text=text))
        return launched(file, *options, *more)

    assert launch(1.0, "A loss.")[0] == 0
    assert launch(1.0, "The same loss, said better.") == (0, "", "")
    before = (tmp_path / "out" / "table.csv").read_bytes()
    code, _, said = launch(2.0, "A loss.")
    assert code == 2 and "mine was written by another run" in said
    assert "loss=experiments.mine#" in said and said.count("\n") == 1
    assert (tmp_path / "out" / "table.csv").read_bytes() == before
    listed = [line.split("  ")[1] for line in launch(2.0, "A loss.", "--list")[1].splitlines()]
    assert listed[0].startswith("changed (was ") and listed[1] == "done"
