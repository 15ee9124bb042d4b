"""A launch with tuned rows: every trial trains, the table has the best one of each."""

import collections
import csv

import pytest

from tests.faults.contents import without_seconds
from tests.runner.launching import launched

FILE = """
from mtl_jax import Experiment, Tuned, tune, weighting
from tests.small import ROW, RUN

SHORT = RUN.replace(steps=4)
RATES = {"optimizer.learning_rate": (0.02, 0.2)}
EXPERIMENT = Experiment(
    runs=(SHORT,),
    tuned=(
        *tune((SHORT.replace(name="alone", tasks=(ROW,)), SHORT), RATES),
        Tuned(name="sum", run=SHORT, over={"balance": weighting.simplex_weights(2, 3)}),
    ),
    baselines=("alone tuned",),
)
"""


@pytest.mark.slow
def test_the_table_has_the_best_trial_of_each_row(tmp_path):
    file, out = tmp_path / "tuned.py", tmp_path / "out"
    file.write_text(FILE)
    assert launched(file, "--out", out)[0] == 0
    with open(out / "tuning.csv", encoding="utf-8", newline="") as lines:
        lines = list(csv.DictReader(lines))
    chosen = {line["row"]: line for line in lines if line["chosen"] == "1"}
    means = collections.defaultdict(list)
    for line in lines:
        means[line["row"], line["trial"]].append(float(line["validation"]))
    assert len(means) == 7
    for (row, _), values in means.items():
        assert sum(values) <= sum(means[row, chosen[row]["trial"]])
    with open(out / "table.csv", encoding="utf-8", newline="") as lines:
        rows = {line["run"] for line in csv.DictReader(lines)}
    assert rows == {"hard", *(line["trial"] for line in chosen.values())}
    table = (out / "table.md").read_text()
    assert "are the best of 3 trials on validation data, over balance" in table
    assert launched(file, "--out", out, "--only", "hard*")[0] == 0
    assert (out / "table.md").read_text() == table


SEARCHED = """
from mtl_jax import TPE, Experiment, Halving, Tuned, losses
from tests.small import RUN

ONE = RUN.replace(num_seeds=1, steps=9, evaluation={"every": 9, "checkpoint_every": 9})
RATES = {"optimizer.learning_rate": (0.001, 0.01, 0.02, 0.1, 0.2, 1.0)}
EXPERIMENT = Experiment(
    runs=(),
    tuned=(
        Tuned(name="proposed", run=ONE, over=RATES, search=TPE(startup=2, batch=2)),
        Tuned(name="halved", run=ONE, over=RATES, search=Halving(factor=2, rungs=1)),
    ),
)
"""


@pytest.mark.slow
def test_results_lead_to_trials_and_a_second_launch_trains_nothing(tmp_path):
    file, out = tmp_path / "searched.py", tmp_path / "out"
    file.write_text(SEARCHED)
    first = launched(file, "--list", "--out", out)[1].splitlines()
    assert len(first) == 2 + 6
    assert launched(file, "--out", out, "--only", first[0].rpartition("  ")[2])[0] == 0
    code = launched(file, "--out", out)[0]
    assert code == 0
    with open(out / "tuning.csv", encoding="utf-8", newline="") as lines:
        lines = list(csv.DictReader(lines))
    steps = collections.Counter((line["row"], line["steps"]) for line in lines)
    # Two lines for each trial, since two tasks choose.
    assert steps == {("proposed", "9"): 12, ("halved", "4"): 12, ("halved", "9"): 6}
    chosen = {line["trial"]: line for line in lines if line["chosen"] == "1"}
    assert {line["steps"] for line in chosen.values()} == {"9"}
    assert len(chosen) == 2
    text = (out / "table.md").read_text()
    assert "by TPE(startup=2, batch=2); tuning.csv" in text
    listed = launched(file, "--list", "--out", out)[1].splitlines()
    assert len(listed) == 6 + 6 + 3
    assert all("done" in line for line in listed)
    before = {path: path.read_bytes() for path in out.glob("*/result.json")}
    assert launched(file, "--out", out) == (0, "", "")
    assert {path: path.read_bytes() for path in out.glob("*/result.json")} == before
    best = next(iter(chosen))
    assert launched(file, "--export", best, "--results", out, "--out", tmp_path / "model")[0] == 0
    # Anew, nothing of before is used, and everything of it is kept.
    assert launched(file, "--out", out, "--fresh", "--only", "proposed*")[0] == 0
    assert len(list(out.glob("proposed*.old"))) == 6
    assert len(list(out.glob("halved*.old"))) == 0
    assert {path: path.read_bytes() for path in out.glob("*/result.json")} == before | {
        path: path.read_bytes() for path in out.glob("*.old/result.json")
    }
    assert without_seconds((out / "table.md").read_text()) == without_seconds(text)


@pytest.mark.slow
def test_trials_that_fail_or_are_damaged(tmp_path):
    file, out = tmp_path / "searched.py", tmp_path / "out"
    file.write_text(SEARCHED.replace("0.001, ", "1e30, "))
    code, _, said = launched(file, "--out", out, "--only", "proposed*")
    assert code == 1
    assert said.count("diverged") == 1 and "earlier" not in said
    assert len(list(out.glob("proposed*/run.json"))) == 6
    done = next(out.glob("*/result.json"))
    done.write_text("{")
    code, _, said = launched(file, "--out", out, "--only", "proposed*")
    assert code == 1
    assert f"{done} is damaged" in said


SET = """
from mtl_jax import Experiment, Halving, Tuned
from tests.small import RUN

ONE = RUN.replace(num_seeds=1, steps=8, evaluation={"every": 4, "checkpoint_every": 4})
RATES = {"optimizer.learning_rate": (0.01, 0.1)}
SELECTS = {"tasks.row.selects": (True, False)}
EXPERIMENT = Experiment(
    runs=(ONE,),
    tuned=(
        Tuned(name="tuned", run=ONE, over=RATES),
        Tuned(name="selected", run=ONE, over=SELECTS),
        Tuned(name="halved", run=ONE, over=RATES, search=Halving(factor=2, rungs=1)),
    ),
)
"""


def test_a_searched_field_cannot_be_set_and_others_are_before_trials_are_made(tmp_path):
    file = tmp_path / "set.py"
    file.write_text(SET)
    for change in ("optimizer.learning_rate=0.5", "optimizer=None", "tasks.0.selects=True"):
        code, _, said = launched(file, "--set", change, "--list")
        assert code == 2 and f"--set {change.partition('=')[0]}: is searched by the row" in said
    assert (
        launched(file, "--set", "optimizer.learning_rate=0.5", "--only", "hard", "--list")[0] == 0
    )
    code, said, _ = launched(file, "--set", "steps=16", "--only", "*halved*", "--list")
    assert code == 0 and "8 steps" in said and "4 steps" not in said


DIVERGES = """
from mtl_jax import Experiment, Tuned
from tests.small import RUN

ONE = RUN.replace(num_seeds=1, steps=8)
RATES = {"optimizer.learning_rate": (0.01, 1e30)}
EXPERIMENT = Experiment(runs=(), tuned=(Tuned(name="tuned", run=ONE, over=RATES),))
"""


@pytest.mark.slow
def test_a_trial_that_failed_is_no_row(tmp_path):
    file, out = tmp_path / "diverges.py", tmp_path / "out"
    file.write_text(DIVERGES)
    assert launched(file, "--out", out)[0] == 1
    table = (out / "table.md").read_text()
    rows = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| tuned")]
    assert len(rows) == 1 and "=0.01" in rows[0]
    assert "learning_rate=1e+30 failed: " in table
    assert "learning_rate=1e+30 failed: " in (out / "report.html").read_text()
