"""Safe rows: what validation takes for each task and seed, and how it is told."""

import numpy as np
import pytest

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.study_design import Cell, Factorial, SafeTransfer
from mtl_jax.report import figures, table
from mtl_jax.report.scores import collect
from mtl_jax.runner.run_selection import restrict_to, select_runs
from mtl_jax.runner.sweep import sweep
from tests.small import HEIGHT, ROW, RUN

TRANSFER = RUN.replace(name="transfer", tasks=(ROW, HEIGHT), num_seeds=3)
SCRATCH = TRANSFER.replace(name="scratch", steps=9)
ROW_ALONE, HEIGHT_ALONE = (
    SCRATCH.replace(name=f"{task.name} alone", tasks=(task,)) for task in (ROW, HEIGHT)
)
EXPERIMENT = Experiment(
    runs=(TRANSFER, SCRATCH, ROW_ALONE, HEIGHT_ALONE),
    safe_transfer=(
        SafeTransfer("safe", "transfer", ("scratch",)),
        SafeTransfer("safe alone", "transfer", ("row alone", "height alone")),
    ),
)


@pytest.fixture
def folders(finished):
    # Accuracies and errors; test says the contrary of validation where they differ.
    return {
        "transfer": finished(
            TRANSFER,
            {"row": [0.1, 0.2, 0.3], "height": [1.0, 2.0, 3.0]},
            last={"row": [0.15, 0.25, 0.35], "height": [1.5, 2.5, 3.5]},
            validation={"row": [0.9, 0.5, 0.5], "height": [9.0, 1.0, 5.0]},
            parameters=100,
        ),
        "scratch": finished(
            SCRATCH,
            {"row": [0.7, 0.8, 0.9], "height": [4.0, 5.0, 6.0]},
            last={"row": [0.75, 0.85, 0.95], "height": [4.5, 5.5, 6.5]},
            validation={"row": [0.8, 0.6, 0.5], "height": [8.0, 2.0, np.nan]},
            parameters=20,
        ),
        "row alone": finished(
            ROW_ALONE, {"row": [0.4, 0.5, 0.6]}, validation={"row": [1.0, 0.4, np.nan]}
        ),
        "height alone": finished(
            HEIGHT_ALONE, {"height": [7.0, 8.0, 9.0]}, validation={"height": [9.5, 0.5, 5.0]}
        ),
    }


def test_validation_takes_the_better_and_of_equals_scratch(folders):
    rows = {row.run.name: row for row in collect(EXPERIMENT, folders)}
    assert list(rows)[-2:] == ["safe", "safe alone"], "below all others"
    safe = rows["safe"]
    # By hand: rows by accuracy 0.9 > 0.8, 0.5 < 0.6, equal; errors 9 > 8, 1 < 2, against no number.
    np.testing.assert_allclose(safe.selected["row"], [10.0, 80.0, 90.0])
    np.testing.assert_allclose(safe.selected["height"], [4.0, 2.0, 3.0])
    np.testing.assert_allclose(safe.last["row"], [15.0, 85.0, 95.0])
    np.testing.assert_allclose(safe.last["height"], [4.5, 2.5, 3.5])
    # Each task has a scratch run of its own: 0.9 < 1, 0.5 > 0.4, no number; 9 < 9.5, 1 > 0.5, equal.
    np.testing.assert_allclose(rows["safe alone"].selected["row"], [40.0, 20.0, 30.0])
    np.testing.assert_allclose(rows["safe alone"].selected["height"], [1.0, 8.0, 9.0])


def test_a_safe_row_costs_what_all_its_runs_cost(folders):
    rows = {row.run.name: row for row in collect(EXPERIMENT, folders)}
    assert (rows["safe"].parameters, rows["safe"].memory) == (120, 2_600_000)  # By the fixture.
    assert rows["safe"].seconds == pytest.approx(25.2)  # 12.6 each
    assert rows["safe alone"].parameters == 100 + 1234 + 1234


def test_it_stands_in_the_table_as_others_do(folders, tmp_path):
    table.write(EXPERIMENT, folders, tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    cells = [cell.strip() for cell in lines[6].split("|")]
    # (10 + 80 + 90) / 3 and 3: standard deviations 43.59 and 1; times 4.30265 / sqrt 3 by hand.
    assert cells[1:4] == ["safe", "60.0 ± 108.3", "3.0 ± 2.5"]
    numbers = (tmp_path / "table.csv").read_text().splitlines()
    assert "safe,row,accuracy,1,,,60.0,80.0,85.0,80.0,80.0,80.0,2,120" in numbers
    assert "put together of finished runs (safe, safe alone)" in (tmp_path / "table.md").read_text()
    table.write(restrict_to(EXPERIMENT, EXPERIMENT.runs[1:]), folders, tmp_path)
    assert "put together" not in (tmp_path / "table.md").read_text()


def test_figures_show_it_beside_the_others(folders):
    figure = figures.plot_pareto_front(EXPERIMENT, collect(EXPERIMENT, folders))
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "3  safe" in named and "4  safe alone" in named


def test_without_one_of_its_runs_it_is_not_there(folders):
    less = restrict_to(EXPERIMENT, (TRANSFER, ROW_ALONE, HEIGHT_ALONE))
    assert [row.run.name for row in collect(less, folders)][3:] == ["safe alone"]
    assert select_runs(EXPERIMENT, 2, None, smoke=False).safe_transfer == EXPERIMENT.safe_transfer
    assert select_runs(EXPERIMENT, None, "transfer", smoke=True).safe_transfer == ()


@pytest.mark.slow
def test_a_sweep_leaves_all_of_it(tmp_path):
    alone = RUN.replace(name="alone", tasks=(ROW,))
    longer = alone.replace(name="longer", initialization={"init_from": alone}, steps=12)
    whole = Experiment(
        runs=(alone, longer),
        factorial=Factorial(("steps",), (Cell(("8",), ("alone",)), Cell(("12",), ("longer",)))),
        scratch_pairs=(("longer", "alone"),),
        safe_transfer=(SafeTransfer("safe", "longer", ("alone",)),),
    )
    assert sweep(whole, whole, tmp_path) == 0
    text = (tmp_path / "table.md").read_text()
    assert all(f"| {start}" in text for start in ("safe ", "longer | alone ", "steps: 12 "))
    assert (tmp_path / "effects.png").is_file() and (tmp_path / "effects.csv").is_file()
    assert not (tmp_path / "safe").exists(), "it was not trained"
    gaps, effects = text.index("## Transfer against"), text.index("## Effects of")
    assert gaps < effects and "its start" in text
