"""Rows of other estimators: the labels that they get, what validation chooses, one sweep."""

import functools

import numpy as np
import pytest

from mtl_jax import losses, metrics
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.sklearn_baseline import (
    SklearnBaseline,
    label_spreading,
    logistic_regression,
    self_training,
)
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import sklearn_baseline
from mtl_jax.runner.run_selection import select_runs
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from tests.small import DATA, HEIGHT, ROW, RUN

BASE = functools.partial(logistic_regression, C=1.0)
CLASSIC = SklearnBaseline(
    name="logistic", data=DATA, task=ROW, candidates=(BASE,), num_labelled=24, num_seeds=2
)


def fitted(row, root):
    """The folder of a row that was fitted."""
    folder = RunDirectory(root, row)
    folder.create()
    sklearn_baseline.fit(row, folder)
    return folder


class Constant:
    """Says one class of everything, and keeps what it was given."""

    given = None

    def __init__(self, answer):
        self.answer = answer

    def fit(self, x, y):
        Constant.given = (x, y)

    def predict(self, x):
        return np.full(len(x), self.answer)


def test_it_gets_the_labels_that_a_run_gets(tmp_path):
    known = load_run_data(RUN.replace(tasks=(ROW,))).train.streams[""].labelled.index
    for pool in (False, True):
        choice = functools.partial(Constant, 0)
        row = CLASSIC.replace(candidates=(choice,), use_unlabelled=pool, num_seeds=1, first_seed=1)
        fitted(row, tmp_path / str(pool))
        x, y = Constant.given
        index = np.flatnonzero(y >= 0) if pool else known[1]
        np.testing.assert_array_equal(index, known[1])
        assert len(y) == (96 if pool else 24)
        np.testing.assert_array_equal(y[y >= 0], DATA.train["row"][known[1]])
        np.testing.assert_array_equal(
            x[0], DATA.train["inputs"][0 if pool else known[1][0]].ravel()
        )


def test_a_result_says_its_seeds_choices_and_what_the_best_on_test_would_be():
    row = CLASSIC.replace(candidates=(BASE, BASE), num_seeds=2, first_seed=3)
    found = np.array([[[0.7, 0.2], [0.6, 0.9]], [[0.5, 0.4], [np.nan, 0.3]]])
    made = sklearn_baseline.result(row, found[..., None])
    assert made["seeds"] == [3, 4] and made["name"] == "logistic"
    assert made["parameters"] == made["trained_parameters"] == 0
    assert made["metrics"]["row"]["accuracy"]["higher_is_better"] is True
    assert [each["choice"] for each in made["selected"]] == [0, 0]
    assert [each["test"]["row"]["accuracy"] for each in made["selected"]] == [0.2, 0.4]
    assert [each["row"]["accuracy"] for each in made["best_on_test"]] == [0.9, 0.4]


def test_every_set_of_lacking_classes_is_told_with_its_own_seeds():
    found = np.zeros((4, 1, 2, 1))
    told = sklearn_baseline.warnings_of(CLASSIC, found, {3: (2,), 4: (1,), 5: (), 6: (1,)})
    assert [text.partition(" is of class ")[2] for text in told] == [
        "1, which validation or test has, in seeds [4, 6]",
        "2, which validation or test has, in seeds [3]",
    ]


def test_validation_chooses(tmp_path):
    shares = [np.mean(DATA.validation["row"] == answer) for answer in range(3)]
    row = CLASSIC.replace(
        candidates=tuple(functools.partial(Constant, a) for a in range(3)), num_seeds=1
    )
    folder = fitted(row, tmp_path)
    found, best = folder.result(), int(np.argmax(shares))
    on_test = [float(np.mean(DATA.test["row"] == answer)) for answer in range(3)]
    (selected,) = found["selected"]
    assert selected["choice"] == best
    np.testing.assert_allclose(selected["validation"]["row"]["accuracy"], shares[best], rtol=1e-6)
    np.testing.assert_allclose(selected["test"]["row"]["accuracy"], on_test[best], rtol=1e-6)
    told = found["best_on_test"][0]["row"]["accuracy"]
    np.testing.assert_allclose(told, max(on_test), rtol=1e-6)


@pytest.mark.parametrize(
    ("choice", "use_unlabelled"),
    [(BASE, False), (functools.partial(label_spreading, kernel="knn", n_neighbors=3), True),
     (functools.partial(self_training, BASE, threshold=0.8), True)],
    ids=["logistic", "spreading", "self-training"],
)  # fmt: skip
def test_scikit_learns_estimators_learn(choice, use_unlabelled, tmp_path):
    row = CLASSIC.replace(candidates=(choice,), use_unlabelled=use_unlabelled, num_seeds=1)
    folder = fitted(row, tmp_path)
    assert folder.result()["selected"][0]["test"]["row"]["accuracy"] > 0.6  # a third by chance


def test_rows_stand_in_the_table_below_the_runs(tmp_path):
    whole = Experiment(runs=(RUN.replace(tasks=(ROW,)),), sklearn_baselines=(CLASSIC,))
    assert sweep(whole, whole, tmp_path) == 0
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["hard", "logistic"]
    before = (tmp_path / "logistic" / "result.json").stat().st_mtime_ns
    assert sweep(whole, whole, tmp_path) == 0
    assert (tmp_path / "logistic" / "result.json").stat().st_mtime_ns == before, "fitted once"
    changed = Experiment(runs=whole.runs, sklearn_baselines=(CLASSIC.replace(num_labelled=30),))
    with pytest.raises(BadInput, match="was written by another run"):
        sweep(changed, changed, tmp_path)


def test_estimators_alone_have_a_table_and_no_curves(tmp_path):
    whole = Experiment(runs=(RUN.replace(tasks=(ROW,)),), sklearn_baselines=(CLASSIC,))
    (tmp_path / "curves.png").touch()
    assert sweep(select_runs(whole, None, "logistic", False), whole, tmp_path) == 0
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:3]] == ["logistic"]
    assert not (tmp_path / "curves.png").exists()


def test_the_command_line_chooses_among_both():
    whole = Experiment(runs=(RUN,), sklearn_baselines=(CLASSIC,))
    only = select_runs(whole, None, "logistic", False)
    assert (only.runs, only.sklearn_baselines) == ((), (CLASSIC,))
    assert select_runs(whole, 5, None, False).sklearn_baselines[0].num_seeds == 5
    assert select_runs(whole, None, "hard", True).sklearn_baselines == ()
    with pytest.raises(BadInput, match="different names"):
        Experiment(runs=(RUN,), sklearn_baselines=(CLASSIC.replace(name="hard"),))


def test_settings_are_checked(tmp_path):
    for field, value in (
        ("candidates", ()),
        ("candidates", (3,)),
        ("num_seeds", 0),
        ("num_labelled", 0),
    ):
        with pytest.raises(BadInput, match=rf"SklearnBaseline\.{field} must"):
            CLASSIC.replace(**{field: value})
    several = ROW.replace(loss=losses.binary_cross_entropy, metrics=(metrics.F1(),))
    for task in (3, several, ROW.replace(loss=np.subtract)):
        with pytest.raises(BadInput, match=r"SklearnBaseline\.task must"):
            CLASSIC.replace(task=task)
    with pytest.raises(BadInput, match=r"SklearnBaseline\.data must be a source"):
        CLASSIC.replace(data=type(DATA))
    with pytest.raises(
        BadInput, match=r"SklearnBaseline\.use_unlabelled must be False for numbers"
    ):
        CLASSIC.replace(task=HEIGHT, use_unlabelled=True)
    missing = CLASSIC.replace(task=ROW.replace(name="colour"))
    with pytest.raises(BadInput, match="row 'logistic': the train data has no 'colour'"):
        sklearn_baseline.fit(missing, RunDirectory(tmp_path, missing))
