"""Tables: every cell by hand, as Markdown, CSV and LaTeX."""

import json

import jax
import pytest

from mtl_jax.augment import Cutout
from mtl_jax.config.experiment import Experiment, Published
from mtl_jax.losses import squared_error
from mtl_jax.metrics.predictions import MeanSquaredError
from mtl_jax.report import table
from mtl_jax.report.formatting import format_published
from tests.small import COLUMN, FIXMATCH, HEIGHT, ROW, RUN

ROW_ALONE = RUN.replace(name="row alone", tasks=(ROW,))
HEIGHT_ALONE = RUN.replace(name="height_alone", tasks=(HEIGHT,))
BOTH = RUN.replace(name="both", tasks=(ROW, HEIGHT))
RATED = RUN.replace(name="rows & columns", num_seeds=1, first_seed=7)
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
        "both": finished(
            BOTH,
            {"row": [0.84, 0.84], "height": [1.0, 1.6]},
            parameters=5,
            places=[(4, "raw"), (8, "ema")],
        ),
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
    ["run", "row accuracy % ↑", "column accuracy % ↑", "height mse ↓", "average", "Δm %",
     "helped, hurt", "rank", "selected at", "last", "seconds", "parameters", "memory", "paper"],
    ["row alone", "80.0 ± 0.0", "-", "-", "-", "-", "-", "-", "4, raw", "80.0 ± 0.0", "13", "1,234",
     "3 MB", ""],
    ["height_alone", "-", "-", "2.0 ± 0.0", "-", "-", "-", "-", "4, raw", "2.0 ± 0.0", "13", "1,234",
     "3 MB", ""],
    ["both", "84.0 ± 0.0", "-", "1.3 ± 3.8", "-", "-20.0 ± 95.3", "1, 0 of 2", "-", "4 to 8, ema 1 of 2", "-", "13",
     "5", "3 MB", ""],
    ["rows & columns", "90.0", "70.0", "-", "80.0", "-", "-", "-", "4, raw", "31.2", "13", "1,234",
     "3 MB", r"row 91.5 (A 2018, Table 1), column 90 (B\|C)"],
]  # fmt: skip


def test_markdown(written):
    lines = (written / "table.md").read_text().splitlines()
    order = [0, 1, 3, 2, *range(4, 14)]  # Tasks stand in the order of the rows.
    found = [[cell.strip() for cell in line[2:-2].split(" | ")] for line in lines[:1] + lines[2:6]]
    assert found == [[row[place] for place in order] for row in CELLS]
    assert len({line.count(" | ") for line in lines[:6] if "---" not in line}) == 1
    assert len({len(line) for line in lines[:6]}) == 1, "columns are aligned"
    assert set(lines[1]) == {"|", "-"} and lines[1].count("|") == 15
    note = lines[7]
    assert "paired by seed; lower is better" in note and "negative transfer" in note
    assert "Holm's correction for the 2 comparisons of this table" in note


def test_latex(written):
    lines = (written / "table.tex").read_text().splitlines()
    assert lines[0] == r"\begin{tabular}{lrrrrrrrrrrrrr}" and lines[-1] == r"\end{tabular}"
    assert (lines[1], lines[3], lines[-2]) == (r"\toprule", r"\midrule", r"\bottomrule")
    assert r"$\Delta_m$ \%" in lines[2]
    assert lines[5].startswith(r"height\_alone & - & 2.0 $\pm$ 0.0 & - & ")
    assert lines[7].startswith(r"rows \& columns & 90.0 & - & 70.0 & 80.0 & - & ")
    assert all(line.endswith(r" \\") for line in (lines[2], *lines[4:8]))
    assert all(line.replace(r"\&", "").count("&") == 13 for line in (lines[2], *lines[4:8]))


def test_csv(written):
    lines = (written / "table.csv").read_text().splitlines()
    assert lines[0] == (
        "run,task,metric,seed,step,selected_parameters,validation,selected,last,last_ema,median,"
        "best_on_test,median_of,parameters"
    )
    assert lines[1] == "row alone,row,accuracy,0,4,raw,80.0,80.0,80.0,80.0,80.0,80.0,2,1234"
    assert lines[7:9] == [
        "both,height,mse,0,4,raw,1.0,1.0,1.0,1.0,1.0,1.0,2,5",
        "both,height,mse,1,8,ema,1.6,1.6,1.6,1.6,1.6,1.6,2,5",
    ]
    assert lines[9:] == [
        "rows & columns,row,accuracy,7,4,raw,90.0,90.0,50.0,25.0,25.0,90.0,2,1234",
        "rows & columns,column,accuracy,7,4,raw,70.0,70.0,12.5,75.0,75.0,70.0,2,1234",
    ]


def test_ranks_are_over_the_rows_that_have_all_tasks(finished, tmp_path):
    names = ("hard", "soft", "alone")
    runs = (RUN, RUN.replace(name="soft"), RUN.replace(name="alone", tasks=(ROW,)))
    scores = ({"row": [0.9, 0.7], "column": [0.5, 0.5]}, {"row": [0.8, 0.8], "column": [0.6, 0.6]},
              {"row": [0.9, 0.9]})  # fmt: skip
    folders = {n: finished(r, s) for n, r, s in zip(names, runs, scores, strict=True)}
    table.write(Experiment(runs=runs), folders, tmp_path)
    rows = (tmp_path / "table.md").read_text().splitlines()[2:5]
    # Both have 80 in the rows and so share places 1 and 2; soft is first in the columns.
    assert [row.split("|")[7].strip() for row in rows] == ["1.8", "1.2", "-"]


@pytest.mark.parametrize(("evaluations", "stands"), [(20, False), (21, True)])
def test_papers_protocols_are_shown_where_every_evaluation_is_of_the_test_part(
    finished, tmp_path, evaluations, stands
):
    """The median of the last 20 stands only where there were more: else it is of all."""
    run = RUN.replace(
        name="semi",
        tasks=(ROW.replace(auxiliary=FIXMATCH),),
        augmentation={"strong": Cutout(1)},
        evaluation={"test": "every"},
    )
    made = finished(run, {"row": [0.9, 0.9]}, last_ema={"row": [0.7, 0.7]}, evaluations=evaluations)
    table.write(Experiment(runs=(run,)), {"semi": made}, tmp_path)
    text = (tmp_path / "table.md").read_text()
    head, _, row = ([c.strip() for c in line.split("|")] for line in text.splitlines()[:3])
    assert ("median" in head) == ("over the last 20 evaluations" in text) == stands
    assert not stands or row[head.index("median")] == "70.0 ± 0.0"
    assert row[head.index("best on test")] == "90.0 ± 0.0"
    assert "chosen by test data" in text


def test_rows_of_other_metrics_are_not_ranked_nor_averaged_together(finished, tmp_path):
    """The same task judged otherwise has a column of its own."""
    coarse = ROW.replace(num_outputs=1, loss=squared_error, metrics=(MeanSquaredError(),))
    runs = (RUN.replace(name="classes", tasks=(ROW,)), RUN.replace(name="numbers", tasks=(coarse,)))
    made = {
        "classes": finished(runs[0], {"row": [0.9, 0.9]}),
        "numbers": finished(runs[1], {"row": [0.2, 0.2]}),
    }
    table.write(Experiment(runs=runs, baselines=("classes",)), made, tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[:4]]
    assert cells[0][:7] == ["run", "row accuracy % ↑", "row mse ↓", "average", "Δm %",
                            "helped, hurt", "rank"]  # fmt: skip
    assert cells[2][:7] == ["classes", "90.0 ± 0.0", "-", "-", "-", "-", "-"]
    assert cells[3][:7] == ["numbers", "-", "0.2 ± 0.0", "-", "-", "-", "-"]


def test_errors_in_units_have_no_average(finished, tmp_path):
    run = RUN.replace(tasks=(HEIGHT, HEIGHT.replace(name="width")))
    made = {"hard": finished(run, {"height": [1.0, 1.0], "width": [9.0, 9.0]})}
    table.write(Experiment(runs=(run,)), made, tmp_path)
    line = (tmp_path / "table.md").read_text().splitlines()[2]
    assert [cell.strip() for cell in line.split("|")[4:5]] == ["-"]


def test_labels_and_warnings_stand_below(finished, tmp_path):
    runs = (RUN, RUN.replace(name="other"))
    values = {"row": [0.5, 0.5], "column": [0.5, 0.5]}
    made = {
        "hard": finished(runs[0], values, labels=(24, 40, 41)),
        "other": finished(runs[1], values, labels=(96, 40, 41), warnings=["it snowed"]),
    }
    table.write(Experiment(runs=runs), made, tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert (
        "\n- labels of a task in training, validation and test: 24, 40, 41; validation, which "
        "selects, has more labels than training (hard)\n"
    ) in text
    assert "test: 96, 40, 41 (other)\n- other: it snowed\n" in text


def test_many_tasks_do_not_all_stand_in_the_table_for_people(finished, tmp_path):
    tasks = tuple(ROW.replace(name=f"task {i}") for i in range(7))
    run = RUN.replace(tasks=tasks)
    folders = {"hard": finished(run, {task.name: [0.5, 0.5] for task in tasks})}
    table.write(Experiment(runs=(run,)), folders, tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert "task" not in lines[0] and "| 50.0 ± 0.0 |" in lines[2]
    assert (tmp_path / "table.csv").read_text().count("task") == 2 * 7 + 1


def test_a_source_stands_once_after_its_numbers():
    numbers = (("a", "IoU", 38.3, "one"), ("b", "IoU", 1.0, "one"), ("a", "error", 0.25, "one"),
               ("a", "IoU", 40.0, "two"))  # fmt: skip
    found = format_published([Published(*each) for each in numbers], "a")
    assert found == "IoU 38.3, error 0.25 (one), IoU 40 (two)"


def test_without_published_numbers_there_is_no_such_column(finished, tmp_path):
    folders = {"row alone": finished(ROW_ALONE, {"row": [0.8, 0.9]})}
    table.write(Experiment(runs=(ROW_ALONE,)), folders, tmp_path)
    first, _, row = (tmp_path / "table.md").read_text().splitlines()[:3]
    assert "paper" not in first
    assert "85.0 ± 63.5" in row  # 12.7062 * 5, by hand.


@pytest.mark.parametrize(
    "other", [RUN.replace(tasks=(ROW,), first_seed=2), RUN.replace(tasks=(ROW,), num_seeds=3)]
)
def test_other_seeds_are_not_paired(finished, tmp_path, other):
    folders = {
        "row alone": finished(ROW_ALONE, {"row": [0.8, 0.9]}),
        "hard": finished(other, {"row": [0.9] * other.num_seeds}),
    }
    table.write(Experiment(runs=(ROW_ALONE, other), baselines=("row alone",)), folders, tmp_path)
    row = (tmp_path / "table.md").read_text().splitlines()[3]
    assert [cell.strip() for cell in row.split("|")][1:5] == ["hard", "90.0 ± 0.0", "-", "-"]


def test_lower_delta_is_better_and_an_average_is_by_seed(finished, tmp_path):
    column = RUN.replace(name="column alone", tasks=(COLUMN,))
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
    column = RUN.replace(name="column alone", tasks=(COLUMN,))
    folders = {
        "row alone": finished(ROW_ALONE, {"row": [0.5, 0.8]}),
        "column alone": finished(column, {"column": second}),
        "hard": finished(RUN, {"row": [0.6, 0.8], "column": [0.4, 0.8]}),
    }
    experiment = Experiment(runs=(ROW_ALONE, column, RUN), baselines=("row alone", "column alone"))
    table.write(experiment, folders, tmp_path)
    row = (tmp_path / "table.md").read_text().splitlines()[4]
    assert [cell.strip() for cell in row.split("|")][5] == delta


def test_times_that_are_known_have_columns_and_devices_are_named(finished, tmp_path):
    folder = finished(ROW_ALONE, {"row": [0.5, 0.5]})
    timing = json.loads((folder.path / "timing.json").read_text())
    timing |= {"compile_seconds": 3.6, "examples_per_second": 12345.6}
    (folder.path / "timing.json").write_text(json.dumps(timing))
    table.write(Experiment(runs=(ROW_ALONE,)), {ROW_ALONE.name: folder}, tmp_path)
    head, _, row, *_ = (tmp_path / "table.md").read_text().splitlines()
    cells = dict(zip(*([c.strip() for c in line.split("|")] for line in (head, row)), strict=True))
    assert (cells["seconds"], cells["compile seconds"], cells["examples/s"]) == (
        "13",
        "4",
        "12,346",
    )
    assert f"Trained on {jax.device_count()} x cpu." in (tmp_path / "table.md").read_text()
