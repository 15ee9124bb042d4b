"""A launch with tuned rows: every trial trains, the table has the best one of each."""

import collections
import csv

import pytest

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
