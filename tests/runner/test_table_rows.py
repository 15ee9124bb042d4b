"""A table that is there is never written anew with fewer rows."""

import pytest

from mtl_jax.runner.table_rows import rows_there
from tests.runner.launching import launched

FILE = """
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.experiment import Experiment
from tests.runner.test_sklearn_baseline import BASE
from tests.small import DATA, ROW, RUN

ONE = RUN.replace(name="one", steps=2, evaluation={{'every': 1, 'checkpoint_every': 1}}, tasks=(ROW,))
LINE = SklearnBaseline(name="a | line", data=DATA, task=ROW, candidates=(BASE,), num_labelled=24, num_seeds=2)
EXPERIMENT = Experiment(runs=({runs},), sklearn_baselines=({classics}))
"""
TWO = 'ONE, ONE.replace(name="two")'
DESCENTS = """
from mtl_jax.config.toy import ToyExperiment
from tests.train.test_toy import BOWLS

SHORT = BOWLS.replace(steps=30)
EXPERIMENT = ToyExperiment(runs=({runs},))
"""
BOTH = 'SHORT, SHORT.replace(name="other")'


@pytest.fixture
def write(tmp_path):
    """Writes an experiment file."""

    def make(runs, classics="", text=FILE):
        path = tmp_path / "file.py"
        path.write_text(text.format(runs=runs, classics=classics))
        return path

    return make


def tables(out):
    return {
        path.name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in out.iterdir()
        if path.name.startswith("table") or path.suffix == ".png"
    }


def kept(launch, out, *lost):
    """A launch that is refused in a line which names the rows, and touches no table."""
    before, folders = tables(out), {path.name for path in out.iterdir()}
    code, _, stderr = launch()
    assert code == 2 and stderr.count("\n") == 1
    assert f"rows that a new one would lack: {', '.join(lost)}. They are" in stderr
    assert tables(out) == before and {path.name for path in out.iterdir()} == folders


@pytest.mark.slow
def test_a_table_keeps_its_rows(write, tmp_path):
    out = tmp_path / "out"
    file = write(TWO, "LINE,")
    assert launched(file, "--out", out)[0] == 0
    assert rows_there(out) == ["one", "two", "a | line"]
    (out / "new").mkdir()
    # Other settings of the runs that are not asked for.
    for change in (("--set", "batch_size=9"), ("--seeds", "1"), ("--smoke",)):
        options = ("--out", out, "--only", "two", "--fresh", *change)
        lost = ["one", "a | line"] if change[0] == "--seeds" else ["one"]
        kept(lambda options=options: launched(file, *options), out, *lost)
    # Another experiment, by its names.
    write('ONE.replace(name="third")')
    kept(lambda: launched(file, "--out", out), out, "one", "two", "a | line")
    write("ONE")
    kept(lambda: launched(file, "--out", out), out, "two", "a | line")
    # One that has more rows.
    write(f'{TWO}, ONE.replace(name="third")', "LINE,")
    assert launched(file, "--out", out, "--only", "third")[0] == 0
    assert rows_there(out) == ["one", "two", "third", "a | line"]
    # If the rows are to go, the table is moved away.
    for name in ("table.csv", "table.md"):
        (out / name).rename(tmp_path / name)
    write("ONE")
    assert launched(file, "--out", out) == (0, "", "") and rows_there(out) == ["one"]


@pytest.mark.slow
def test_what_is_left_out_of_a_first_table_is_said(write, tmp_path):
    out, file = tmp_path / "out", write(TWO)
    assert launched(file, "--out", out, "--only", "one")[0] == 0
    for name in ("table.csv", "table.md"):
        (out / name).unlink()
    _, _, stderr = launched(file, "--out", out, "--only", "two", "--set", "batch_size=9")
    said = "warning: 'one' is not in the table: it was trained with other settings or data\n"
    assert said in stderr and rows_there(out) == ["two"]


def test_toy_runs_and_runs_do_not_take_each_others_tables(write, tmp_path):
    out, file = tmp_path / "out", write(BOTH, text=DESCENTS)
    assert launched(file, "--out", out)[0] == 0 and rows_there(out) == ["sum", "other"]
    for options in (["--set", "steps=9"], ["--smoke"]):
        launch = [file, "--out", out, "--only", "other", "--fresh", *options]
        kept(lambda launch=launch: launched(*launch), out, "sum")
    write("SHORT", text=DESCENTS)
    kept(lambda: launched(file, "--out", out), out, "other")
    write("ONE")
    kept(lambda: launched(file, "--out", out), out, "sum", "other")
    (out / "table.md").unlink()
    assert launched(file, "--out", out)[0] == 0 and rows_there(out) == ["one"]
    write("SHORT", text=DESCENTS)
    kept(lambda: launched(file, "--out", out), out, "one")


def test_a_folder_without_a_table(tmp_path):
    assert rows_there(tmp_path) == []
    (tmp_path / "table.md").write_text("My own notes.\n")
    assert rows_there(tmp_path) == []
