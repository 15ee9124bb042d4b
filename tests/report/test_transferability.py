"""Estimates of transferability in the table: scores over seeds, and ranks among rival sources."""

from mtl_jax.config.experiment import Experiment
from mtl_jax.report.transferability import section
from tests.runner.test_predict import EXPERIMENT, PROBE, SOURCE

OTHER = SOURCE.replace(name="other")
RIVAL = PROBE.replace(name="rival", features_from=OTHER)
FEWER = PROBE.replace(name="fewer", num_labelled=12)


class Finished:
    """A row's folder, of which only the promises are read."""

    def __init__(self, *seeds):
        self.seeds = [dict(zip(("LEEP", "LogME", "H-score"), seed, strict=True)) for seed in seeds]

    def result(self):
        return {"promises": self.seeds}


FOLDERS = {
    "probe": Finished((-0.5, 1.0, 3.0), (-0.7, 1.0, 3.0)),
    "rival": Finished((-0.4, 0.5, 3.0), (-0.9, 0.5, None)),
    "fewer": Finished((-2.0, -2.0, None), (-2.0, -2.0, None)),
}


def rows_of(experiment):
    lines = section(experiment, FOLDERS).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    return {row[0]: row[1:] for row in cells}


def test_rival_sources_are_ranked_by_the_scores_that_all_of_them_have():
    found = rows_of(Experiment(runs=(SOURCE, OTHER), sklearn_baselines=(PROBE, RIVAL, FEWER)))
    assert found["row"] == ["LEEP", "LogME", "H-score", "rank"]
    # By hand: LEEP -0.6 against -0.65, LogME 1.0 against 0.5; the H-score is not told of all.
    assert found["probe"][-1] == "1.0" and found["rival"][-1] == "2.0"
    assert found["fewer"][-1] == "-", "no other source is read for its labels"
    assert found["rival"][2] == "-" and found["probe"][1] == "1.0 ± 0.0"


def test_a_source_without_a_rival_has_no_rank():
    assert rows_of(EXPERIMENT)["row"] == ["LEEP", "LogME", "H-score"]
    assert section(Experiment(runs=(SOURCE,)), {}) == ""
