"""Effects of factors: the section, the file and the figure hold the contrasts of the results."""

import numpy as np
import pytest

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.study_design import Cell, Factorial
from mtl_jax.report import effects as effects_module
from mtl_jax.report import figures, table
from mtl_jax.report.effects import effects
from mtl_jax.report.gains import VERDICT_COLORS
from mtl_jax.report.scores import collect
from mtl_jax.runner.run_selection import restrict_to
from tests.small import COLUMN, HEIGHT, ROW, RUN

ROW_ALONE, COLUMN_ALONE = (RUN.replace(name=f"{t.name} alone", tasks=(t,)) for t in (ROW, COLUMN))
MORE = tuple(
    run.replace(name=f"{run.name}, long", steps=9) for run in (ROW_ALONE, COLUMN_ALONE, RUN)
)  # fmt: skip
EXPERIMENT = Experiment(
    runs=(ROW_ALONE, COLUMN_ALONE, RUN, *MORE),
    factorial=Factorial(
        ("tasks", "training"),
        (
            Cell(("alone", "short"), ("row alone", "column alone")),
            Cell(("together", "short"), ("hard",)),
            Cell(("together", "long"), ("hard, long",)),
            Cell(("alone", "long"), ("row alone, long", "column alone, long")),
        ),
    ),
)


@pytest.fixture
def folders(finished):
    values = {  # Accuracy of seeds 0 and 1.
        "row alone": {"row": [0.5, 0.6]},
        "column alone": {"column": [0.7, 0.7]},
        "hard": {"row": [0.54, 0.62], "column": [0.5, 0.5]},
        "row alone, long": {"row": [0.6, 0.7]},
        "column alone, long": {"column": [0.8, 0.9]},
        "hard, long": {"row": [0.7, 0.78], "column": [0.6, 0.6]},
    }
    return {run.name: finished(run, values[run.name]) for run in EXPERIMENT.runs}


# By hand, by seed, in points. Rows: alone 50, 60 and long 60, 70; together 54, 62 and 70, 78.
TOGETHER_ROW = [(4 + 10) / 2, (2 + 8) / 2]  # 7, 5
LONG_ROW = [(10 + 16) / 2, (10 + 16) / 2]  # 13, 13
BOTH_ROW = [10 - 4, 8 - 2]  # 6, 6
# Columns: alone 70, 70 and long 80, 90; together 50, 50 and 60, 60.
TOGETHER_COLUMN = [(-20 - 20) / 2, (-20 - 30) / 2]  # -20, -25
LONG_COLUMN = [(10 + 10) / 2, (20 + 10) / 2]  # 10, 15
BOTH_COLUMN = [-20 + 20, -30 + 20]  # 0, -10
# Averages -6.5, -10; 11.5, 14; 3, -2. Half widths: 12.7062 times half the distance of two seeds.
LINES = [
    ["effect", "row accuracy %", "column accuracy %", "average", "verdict", "helped, hurt"],
    ["tasks: together", "6.0 ± 12.7", "-22.5 ± 31.8", "-8.2 ± 22.2", "open", "0, 0 of 2"],
    ["training: long", "13.0 ± 0.0", "12.5 ± 31.8", "12.8 ± 15.9", "open", "1, 0 of 2"],
    ["tasks: together and training: long", "6.0 ± 0.0", "-5.0 ± 63.5", "0.5 ± 31.8", "open",
     "1, 0 of 2"],
]  # fmt: skip


def cells_of(text, heading):
    """The table below a heading."""
    lines = text.split(f"\n## {heading}\n\n")[1].split("\n\n")[0].splitlines()
    rows = (lines[0], *lines[2:])
    return [[cell.strip() for cell in line[2:-2].split(" | ")] for line in rows]


def test_section(folders, tmp_path):
    table.write(EXPERIMENT, folders, tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert cells_of(text, "Effects of the factors") == LINES
    assert "first of its factor (tasks: alone, training: short)" in text


def test_file_has_every_seed(folders, tmp_path):
    table.write(EXPERIMENT, folders, tmp_path)
    lines = (tmp_path / "effects.csv").read_text().splitlines()
    assert lines[0] == "effect,order,task,seed,gain" and len(lines) == 1 + 3 * 2 * 2
    found = [line.rsplit(",", 1) for line in lines[1:]]
    assert [float(gain) for _, gain in found] == [
        *TOGETHER_ROW, *TOGETHER_COLUMN, *LONG_ROW, *LONG_COLUMN, *BOTH_ROW, *BOTH_COLUMN
    ]  # fmt: skip
    assert found[1][0] == "tasks: together,1,row,1"
    assert found[-1][0] == "tasks: together and training: long,2,column,1"


def test_without_every_cell_there_are_no_effects(folders, tmp_path):
    table.write(EXPERIMENT, folders, tmp_path)
    less = restrict_to(EXPERIMENT, EXPERIMENT.runs[:-1])
    table.write(less, folders, tmp_path)
    assert "Effects" not in (tmp_path / "table.md").read_text()
    assert not (tmp_path / "effects.csv").exists(), "of the earlier launch"
    assert effects(less, collect(less, folders)) is None
    assert restrict_to(EXPERIMENT, EXPERIMENT.runs) == EXPERIMENT


def panels_of(experiment, folders):
    figure = effects(experiment, collect(experiment, folders))
    return [axis for axis in figure.axes if axis.axison]


def test_figure(folders):
    panels = panels_of(EXPERIMENT, folders)
    assert [p.get_title() for p in panels] == ["average", "row accuracy", "column accuracy"]
    names = [text.get_text().replace("\n", " ") for text in panels[0].get_yticklabels()]
    assert names == [line[0] for line in LINES[1:]]
    for panel, gains in zip(
        panels[1:],
        ([TOGETHER_ROW, LONG_ROW, BOTH_ROW], [TOGETHER_COLUMN, LONG_COLUMN, BOTH_COLUMN]),
        strict=True,
    ):
        for place, (bar, gain) in enumerate(zip(panel.containers, gains, strict=True)):
            mean, half = np.mean(gain), 12.706205 * abs(gain[0] - gain[1]) / 2  # by hand
            np.testing.assert_allclose(bar.lines[0].get_xydata(), [[mean, place]])
            (span,) = bar.lines[2][0].get_segments()
            np.testing.assert_allclose(span[:, 0], [mean - half, mean + half], rtol=1e-6)
    colours = [bar.lines[0].get_color() for bar in panels[1].containers]
    green = VERDICT_COLORS["helped"]
    assert colours == [VERDICT_COLORS["open"], green, green], "the colours of the verdicts"


def test_the_figure_judges_as_the_table_does(folders, monkeypatch):
    """Holm's correction is over all effects, also over those that are in the table only."""
    counts, judge = [], effects_module.verdicts

    def counted(gains):
        counts.append(len(gains))
        return judge(gains)

    monkeypatch.setattr(effects_module, "MAX_ORDER", 1)
    monkeypatch.setattr(effects_module, "verdicts", counted)
    figure = effects(EXPERIMENT, collect(EXPERIMENT, folders))
    assert len(figure.axes[0].get_yticks()) == 2
    assert counts == [3, 6]


def test_levels_stand_against_the_first_and_less_error_is_more(finished, tmp_path):
    """Three levels, two units: no average and no verdict on it; one seed has no interval."""
    tasks = (ROW, HEIGHT)
    runs = tuple(
        RUN.replace(name=f"run {n}", tasks=tasks, num_seeds=1, first_seed=5) for n in range(3)
    )
    values = ({"row": [0.5], "height": [2.0]}, {"row": [0.7], "height": [1.5]},
              {"row": [0.4], "height": [4.0]})  # fmt: skip
    design = Factorial(("n",), tuple(Cell((str(n),), (f"run {n}",)) for n in range(3)))
    experiment = Experiment(runs=runs, factorial=design)
    made = {run.name: finished(run, value) for run, value in zip(runs, values, strict=True)}
    table.write(experiment, made, tmp_path)
    assert cells_of((tmp_path / "table.md").read_text(), "Effects of the factors")[1:] == [
        ["n: 1", "20.0", "0.50", "-", "-", "0, 0 of 2"],  # by hand
        ["n: 2", "-10.0", "-2.0", "-", "-", "0, 0 of 2"],
    ]
    assert "n: 2,1,height,5,-2.0" in (tmp_path / "effects.csv").read_text().splitlines()
    assert [p.get_title() for p in panels_of(experiment, made)] == ["row accuracy", "height mse"]


def test_of_many_tasks_the_average_stands_alone(finished, tmp_path):
    tasks = tuple(ROW.replace(name=f"task{n}") for n in range(7))
    runs = (RUN.replace(tasks=tasks), RUN.replace(name="other", tasks=tasks))
    made = {
        run.name: finished(run, {task.name: [value, value] for task in tasks})
        for run, value in zip(runs, (0.5, 0.25), strict=True)
    }
    design = Factorial(("run",), (Cell(("a",), ("hard",)), Cell(("b",), ("other",))))
    experiment = Experiment(runs=runs, factorial=design)
    table.write(experiment, made, tmp_path)
    assert cells_of((tmp_path / "table.md").read_text(), "Effects of the factors") == [
        ["effect", "average", "verdict", "helped, hurt"],
        ["run: b", "-25.0 ± 0.0", "hurt", "0, 7 of 7"],
    ]
    assert [panel.get_title() for panel in panels_of(experiment, made)] == ["average"]


def test_the_figure_is_written(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "curves", lambda *_: None)  # There are no records.
    monkeypatch.setattr(figures, "balance", lambda *_: None)
    figures.write(EXPERIMENT, folders, tmp_path)
    assert (tmp_path / "effects.png").is_file()
    figures.write(restrict_to(EXPERIMENT, EXPERIMENT.runs[1:]), folders, tmp_path)
    assert not (tmp_path / "effects.png").exists()
