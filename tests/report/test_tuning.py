"""The best trial of a tuned row is chosen on validation data alone."""

import csv

from mtl_jax import Experiment, Tuned
from mtl_jax.report.tuning import choose, write
from tests.small import HEIGHT, ROW, RUN

ROWS = Tuned(
    name="best", run=RUN.replace(steps=4), over={"optimizer.learning_rate": (0.1, 0.2, 0.4)}
)


class Finished:
    """The folder of a finished run with accuracies by seed, task and split."""

    def __init__(self, validation, test):
        self.values = {"validation": validation, "test": test}

    def result(self):
        seeds = zip(*(self.values["validation"].values()), strict=True)
        names = list(self.values["validation"])
        return {
            "selected": [
                {
                    "validation": {n: {"accuracy": v} for n, v in zip(names, own, strict=True)},
                    "test": {},
                }
                for own in seeds
            ]
        }


def folders(*accuracies):
    """Folders of trials with validation accuracies `(row, column)` by seed."""
    return {
        trial.name: Finished({"row": row, "column": column}, None)
        for trial, (row, column) in zip(ROWS.trials, accuracies, strict=True)
    }


def experiment(row=ROWS, **more):
    return Experiment(runs=(RUN, *row.trials), tuned=(row,), **more)


def test_the_best_mean_over_seeds_and_tasks_is_chosen():
    found = folders(([0.5, 0.5], [0.9, 0.9]), ([0.7, 0.9], [0.6, 0.8]), ([1.0, 0.1], [0.8, 0.8]))
    shown, choices = choose(experiment(), found, ())
    assert [run.name for run in shown.runs] == ["hard", "best, learning_rate=0.2"]
    assert choices[0].best == ROWS.trials[1]
    assert choices[0].values.round(6).tolist() == [[0.5, 0.8, 0.55], [0.9, 0.7, 0.8]]


def test_one_metric_may_choose():
    found = folders(([0.5, 0.5], [0.9, 0.9]), ([0.7, 0.9], [0.6, 0.8]), ([1.0, 0.1], [0.8, 0.8]))
    row = ROWS.replace(metric="column/accuracy")
    shown, _ = choose(experiment(row), found, ())
    assert shown.runs[-1].name == "best, learning_rate=0.1"


def test_a_trial_that_failed_is_not_chosen_and_one_that_is_missing_hides_the_row():
    found = folders(([0.5], [0.5]), ([0.7], [0.7]), ([0.9], [0.9]))
    all_runs = experiment()
    two = Experiment(runs=all_runs.runs[:3], tuned=(ROWS,))
    shown, _ = choose(two, found, {ROWS.trials[2].name: "diverged"})
    assert shown.runs[-1].name == "best, learning_rate=0.2"
    shown, choices = choose(two, found, ())
    assert [run.name for run in shown.runs] == ["hard"]
    assert not choices


def test_a_tuned_row_may_be_a_baseline():
    alone = ROWS.replace(run=RUN.replace(tasks=(ROW,)))
    found = {
        t.name: Finished({"row": [x]}, None)
        for t, x in zip(alone.trials, (0.1, 0.9, 0.3), strict=True)
    }
    rows = Experiment(runs=(RUN, *alone.trials), tuned=(alone,), baselines=("best",))
    assert choose(rows, found, ())[0].baselines == ("best, learning_rate=0.2",)


class Measured:
    """The folder of a finished run of one seed with an accuracy and a squared error."""

    def __init__(self, accuracy, error):
        values = {"row": {"accuracy": accuracy}, "height": {"mse": error}}
        self.values = {"selected": [{"validation": values, "test": {}}]}

    def result(self):
        return self.values


def test_the_file_has_each_metric_in_its_own_units(tmp_path):
    row = ROWS.replace(run=RUN.replace(tasks=(ROW, HEIGHT)))
    measured = ((0.5, 2.0), (0.7, 1.0), (0.6, float("nan")))
    found = {t.name: Measured(*pair) for t, pair in zip(row.trials, measured, strict=True)}
    _, choices = choose(experiment(row), found, ())
    write(choices, tmp_path)
    with open(tmp_path / "tuning.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["value"] for line in lines[::2]] == ["0.1", "0.2", "0.4"]
    for line, (accuracy, _) in zip(lines[::2], measured, strict=True):
        assert (line["metric"], line["validation"]) == ("row/accuracy", repr(accuracy))
        assert line["chosen"] == str(int(accuracy == 0.7))
    errors = [line["validation"] for line in lines[1::2]]
    assert errors == ["2.0", "1.0", "inf"]  # The last is not finite.
