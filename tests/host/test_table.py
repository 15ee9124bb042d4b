"""Tables: every cell by hand, as Markdown, CSV and LaTeX."""

import pytest

from mtl_jax.augment import Cutout
from mtl_jax.host import table
from mtl_jax.run import Experiment, Published
from tests.small import COLUMN, FIXMATCH, HEIGHT, ROW, RUN

ROW_ALONE = RUN.but(name="row alone", tasks=(ROW,))
HEIGHT_ALONE = RUN.but(name="height_alone", tasks=(HEIGHT,))
BOTH = RUN.but(name="both", tasks=(ROW, HEIGHT))
RATED = RUN.but(name="rows & columns", seeds=1, first_seed=7)
EXPERIMENT = Experiment(
    runs=(ROW_ALONE, HEIGHT_ALONE, BOTH, RATED),
    baselines=("row alone", "height_alone"),
    published=(
        Published("rows & columns", "row", 91.5, "A 2018, Table 1"),
        Published("rows & columns", "column", 90.0, "B|C"),
    ),
)


@pytest.fixture
def written(finished, tmp_path):
    folders = {
        "row alone": finished(ROW_ALONE, {"row": [0.8, 0.8]}),
        "height_alone": finished(HEIGHT_ALONE, {"height": [2.0, 2.0]}),
        "both": finished(BOTH, {"row": [0.84, 0.84], "height": [1.0, 1.6]}, parameters=5),
        "rows & columns": finished(
            RATED,
            {"row": [0.9], "column": [0.7]},
            last={"row": [0.5], "column": [0.125]},
            last_ema={"row": [0.25], "column": [0.75]},
        ),
    }
    table.write(EXPERIMENT, folders, tmp_path)
    return tmp_path


# Intervals by hand: t_1(0.975) = 12.7062; 12.7062 * 0.3 = 3.8 (sd 0.3 sqrt 2, over sqrt 2).
# Delta_m by seed: (-5 - 50) / 2 = -27.5 and (-5 - 20) / 2 = -12.5: -20 and 12.7062 * 7.5 = 95.3.
CELLS = [
    ["run", "row", "column", "height", "average", "Δm %", "helped, hurt", "rank", "last",
     "seconds", "parameters", "memory", "paper"],
    ["row alone", "80.0 ± 0.0", "-", "-", "-", "-", "-", "-", "80.0 ± 0.0", "13", "1,234", "3 MB", ""],
    ["height_alone", "-", "-", "2.0 ± 0.0", "-", "-", "-", "-", "2.0 ± 0.0", "13", "1,234", "3 MB", ""],
    ["both", "84.0 ± 0.0", "-", "1.3 ± 3.8", "-", "-20.0 ± 95.3", "1, 0 of 2", "-", "-", "13",
     "5", "3 MB", ""],
    ["rows & columns", "90.0", "70.0", "-", "80.0", "-", "-", "-", "31.2", "13", "1,234",
     "3 MB", r"row 91.5 (A 2018, Table 1), column 90 (B\|C)"],
]  # fmt: skip


def test_markdown(written):
    lines = (written / "table.md").read_text().splitlines()
    order = [0, 1, 3, 2, *range(4, 13)]  # Tasks stand in the order of the rows.
    found = [[cell.strip() for cell in line[2:-2].split(" | ")] for line in lines[:1] + lines[2:6]]
    assert found == [[row[place] for place in order] for row in CELLS]
    assert len({line.count(" | ") for line in lines[:6] if "---" not in line}) == 1
    assert len({len(line) for line in lines[:6]}) == 1, "columns are aligned"
    assert set(lines[1]) == {"|", "-"} and lines[1].count("|") == 14
    assert "paired by seed; lower is better" in lines[-1] and "negative transfer" in lines[-1]


def test_latex(written):
    lines = (written / "table.tex").read_text().splitlines()
    assert lines[0] == r"\begin{tabular}{lrrrrrrrrrrrr}" and lines[-1] == r"\end{tabular}"
    assert (lines[1], lines[3], lines[-2]) == (r"\toprule", r"\midrule", r"\bottomrule")
    assert r"$\Delta_m$ \%" in lines[2]
    assert lines[5].startswith(r"height\_alone & - & 2.0 $\pm$ 0.0 & - & ")
    assert lines[7].startswith(r"rows \& columns & 90.0 & - & 70.0 & 80.0 & - & ")
    assert all(line.endswith(r" \\") for line in (lines[2], *lines[4:8]))
    assert all(line.replace(r"\&", "").count("&") == 12 for line in (lines[2], *lines[4:8]))


def test_csv(written):
    lines = (written / "table.csv").read_text().splitlines()
    assert lines[0] == "run,task,metric,seed,selected,last,last_ema,median,best_on_test,parameters"
    assert lines[1] == "row alone,row,accuracy,0,80.0,80.0,80.0,80.0,80.0,1234"
    assert lines[7:9] == [
        "both,height,mse,0,1.0,1.0,1.0,1.0,1.0,5",
        "both,height,mse,1,1.6,1.6,1.6,1.6,1.6,5",
    ]
    assert lines[9:] == [
        "rows & columns,row,accuracy,7,90.0,50.0,25.0,25.0,90.0,1234",
        "rows & columns,column,accuracy,7,70.0,12.5,75.0,75.0,70.0,1234",
    ]


def test_ranks_are_over_the_rows_that_have_all_tasks(finished, tmp_path):
    names = ("hard", "soft", "alone")
    runs = (RUN, RUN.but(name="soft"), RUN.but(name="alone", tasks=(ROW,)))
    scores = ({"row": [0.9, 0.7], "column": [0.5, 0.5]}, {"row": [0.8, 0.8], "column": [0.6, 0.6]},
              {"row": [0.9, 0.9]})  # fmt: skip
    folders = {n: finished(r, s) for n, r, s in zip(names, runs, scores, strict=True)}
    table.write(Experiment(runs=runs), folders, tmp_path)
    rows = (tmp_path / "table.md").read_text().splitlines()[2:5]
    # Both have 80 in the rows and so share places 1 and 2; soft is first in the columns.
    assert [row.split("|")[7].strip() for row in rows] == ["1.8", "1.2", "-"]


def test_papers_protocols_stand_where_unlabelled_data_is_learnt_from(finished, tmp_path):
    run = RUN.but(name="semi", tasks=(ROW.but(consistency=FIXMATCH),), strong=Cutout(1))
    folders = {"semi": finished(run, {"row": [0.9, 0.9]}, last_ema={"row": [0.7, 0.7]})}
    table.write(Experiment(runs=(run,)), folders, tmp_path)
    text = (tmp_path / "table.md").read_text()
    head, _, row = ([c.strip() for c in line.split("|")] for line in text.splitlines()[:3])
    assert row[head.index("median")] == "70.0 ± 0.0"
    assert row[head.index("best on test")] == "90.0 ± 0.0"
    assert "chosen by test data" in text


def test_many_tasks_do_not_all_stand_in_the_table_for_people(finished, tmp_path):
    tasks = tuple(ROW.but(name=f"task {i}") for i in range(7))
    run = RUN.but(tasks=tasks)
    folders = {"hard": finished(run, {task.name: [0.5, 0.5] for task in tasks})}
    table.write(Experiment(runs=(run,)), folders, tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert "task" not in lines[0] and "| 50.0 ± 0.0 |" in lines[2]
    assert (tmp_path / "table.csv").read_text().count("task") == 2 * 7 + 1


def test_without_published_numbers_there_is_no_such_column(finished, tmp_path):
    folders = {"row alone": finished(ROW_ALONE, {"row": [0.8, 0.9]})}
    table.write(Experiment(runs=(ROW_ALONE,)), folders, tmp_path)
    first, _, row = (tmp_path / "table.md").read_text().splitlines()[:3]
    assert "paper" not in first
    assert "85.0 ± 63.5" in row  # 12.7062 * 5, by hand.


@pytest.mark.parametrize(
    "other", [RUN.but(tasks=(ROW,), first_seed=2), RUN.but(tasks=(ROW,), seeds=3)]
)
def test_other_seeds_are_not_paired(finished, tmp_path, other):
    folders = {
        "row alone": finished(ROW_ALONE, {"row": [0.8, 0.9]}),
        "hard": finished(other, {"row": [0.9] * other.seeds}),
    }
    table.write(Experiment(runs=(ROW_ALONE, other), baselines=("row alone",)), folders, tmp_path)
    row = (tmp_path / "table.md").read_text().splitlines()[3]
    assert [cell.strip() for cell in row.split("|")][1:5] == ["hard", "90.0 ± 0.0", "-", "-"]


def test_lower_delta_is_better_and_an_average_is_by_seed(finished, tmp_path):
    column = RUN.but(name="column alone", tasks=(COLUMN,))
    folders = {
        "row alone": finished(ROW_ALONE, {"row": [0.5, 0.8]}),
        "column alone": finished(column, {"column": [0.8, 0.5]}),
        "hard": finished(RUN, {"row": [0.6, 0.8], "column": [0.4, 0.8]}),
    }
    experiment = Experiment(runs=(ROW_ALONE, column, RUN), baselines=("row alone", "column alone"))
    table.write(experiment, folders, tmp_path)
    row = (tmp_path / "table.md").read_text().splitlines()[4]
    cells = [cell.strip() for cell in row.split("|")]
    # Averages 50 and 80; Delta_m (-20 + 50) / 2 = 15 and (0 - 60) / 2 = -30: by hand.
    assert cells[4:6] == ["65.0 ± 190.6", "-7.5 ± 285.9"]


@pytest.mark.parametrize(
    # By hand: of the first task -20 and 0, of the second 0 and -60; 12.7062 times 10.
    ("second", "delta"), [([0.0, 0.5], "-10.0 ± 127.1"), ([0.4, 0.5], "-20.0 ± 127.1")],
)  # fmt: skip
def test_nothing_is_relative_to_a_baseline_of_zero(finished, tmp_path, second, delta):
    column = RUN.but(name="column alone", tasks=(COLUMN,))
    folders = {
        "row alone": finished(ROW_ALONE, {"row": [0.5, 0.8]}),
        "column alone": finished(column, {"column": second}),
        "hard": finished(RUN, {"row": [0.6, 0.8], "column": [0.4, 0.8]}),
    }
    experiment = Experiment(runs=(ROW_ALONE, column, RUN), baselines=("row alone", "column alone"))
    table.write(experiment, folders, tmp_path)
    row = (tmp_path / "table.md").read_text().splitlines()[4]
    assert [cell.strip() for cell in row.split("|")][5] == delta
