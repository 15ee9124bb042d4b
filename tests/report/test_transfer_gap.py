"""Negative transfer: gaps against scratch by hand, what is safe, what is forgotten."""

import pytest

from mtl_jax.config.experiment import Experiment
from mtl_jax.report import table
from mtl_jax.runner.run_selection import restrict_to
from tests.report.test_effects import cells_of
from tests.small import COLUMN, HEIGHT, ROW, RUN

BEFORE = RUN.replace(name="before", tasks=(ROW,))
MIDDLE = RUN.replace(name="middle", initialization={"init_from": BEFORE})
AFTER = RUN.replace(name="after", initialization={"init_from": MIDDLE})
ROW_ALONE, COLUMN_ALONE = (RUN.replace(name=f"{t.name} alone", tasks=(t,)) for t in (ROW, COLUMN))
EXPERIMENT = Experiment(
    runs=(BEFORE, MIDDLE, AFTER, RUN, ROW_ALONE, COLUMN_ALONE),
    scratch_pairs=(
        ("after", "hard"),
        ("after", "row alone", "column alone"),
        ("middle", "column alone"),
        ("after", "before"),
        ("after", "middle"),
    ),
)


@pytest.fixture
def folders(finished):
    values = {  # Accuracy of seeds 0 and 1.
        "before": {"row": [0.8, 0.9]},
        "middle": {"row": [0.7, 0.7], "column": [0.6, 0.5]},
        "after": {"row": [0.6, 0.7], "column": [0.7, 0.9]},
        "hard": {"row": [0.7, 0.8], "column": [0.5, 0.5]},
        "row alone": {"row": [0.5, 0.6]},
        "column alone": {"column": [0.6, 0.5]},
    }
    return {run.name: finished(run, values[run.name]) for run in EXPERIMENT.runs}


# By hand. Of the rows, after is 60, 70: 10, 10 below hard; 10, 10 above row alone; 20, 20 below
# before; 10, 0 below middle. Of the columns, after is 70, 90: 20, 40 above hard, 10, 40 above
# column alone and middle. Averages of the gaps: -5, -15; -10, -25; 0, -20. Half widths: 12.7062
# times half the distance of the two seeds.
LINES = [
    ["run", "against", "gap", "row accuracy %", "column accuracy %", "average", "helped, hurt", "safe"],
    ["after", "hard", "transfer", "10.0 ± 0.0", "-30.0 ± 127.1", "-10.0 ± 63.5", "0, 1 of 2", "no"],
    ["after", "row alone, column alone", "transfer", "-10.0 ± 0.0", "-25.0 ± 190.6",
     "-17.5 ± 95.3", "1, 0 of 2", "not shown"],
    ["middle", "column alone", "transfer", "-", "0.0 ± 0.0", "-", "0, 0 of 1", "not shown"],
    ["after", "before", "its start", "20.0 ± 0.0", "-", "-", "0, 1 of 1", "no"],
    ["after", "middle", "its start", "5.0 ± 63.5", "-25.0 ± 190.6", "-10.0 ± 127.1", "0, 0 of 2",
     "not shown"],
]  # fmt: skip


def test_section(folders, tmp_path):
    table.write(EXPERIMENT, folders, tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert cells_of(text, "Transfer against scratch") == LINES
    assert text.index("Test metrics: mean") < text.index("## Transfer against scratch")


def test_what_is_not_finished_is_not_compared(folders, tmp_path):
    less = restrict_to(EXPERIMENT, [run for run in EXPERIMENT.runs if run.name != "row alone"])
    table.write(less, folders, tmp_path)
    found = cells_of((tmp_path / "table.md").read_text(), "Transfer against scratch")
    assert found == [LINES[0], LINES[1], *LINES[3:]]
    table.write(restrict_to(less, (RUN,)), folders, tmp_path)
    assert "Transfer against" not in (tmp_path / "table.md").read_text()


def test_more_error_is_a_gap_above_zero_and_one_seed_proves_nothing(finished, tmp_path):
    tasks = (ROW, HEIGHT)
    scratch = RUN.replace(tasks=tasks, num_seeds=1)
    run = scratch.replace(name="transferred")
    made = {
        "hard": finished(scratch, {"row": [0.5], "height": [1.0]}),
        "transferred": finished(run, {"row": [0.75], "height": [3.0]}),
    }
    experiment = Experiment(runs=(scratch, run), scratch_pairs=(("transferred", "hard"),))
    table.write(experiment, made, tmp_path)
    found = cells_of((tmp_path / "table.md").read_text(), "Transfer against scratch")
    # Two units have no average.
    assert found[1][3:] == ["-25.0", "2.0", "-", "0, 0 of 2", "not shown"]
