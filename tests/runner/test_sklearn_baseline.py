"""Rows of other estimators: the labels that they get, what validation chooses, one sweep."""

import functools

import numpy as np
import pytest

from mtl_jax import losses, metrics
from mtl_jax.config.run import Experiment
from mtl_jax.config.sklearn_baseline import Classic, logistic, self_training, spreading
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import sklearn_baseline
from mtl_jax.runner.run_selection import asked
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_data import prepare
from mtl_jax.storage.run_directory import Folder
from tests.small import DATA, HEIGHT, ROW, RUN

BASE = functools.partial(logistic, C=1.0)
CLASSIC = Classic(name="logistic", data=DATA, task=ROW, choices=(BASE,), labelled=24, seeds=2)


def fitted(row, root):
    """The folder of a row that was fitted."""
    folder = Folder(root, row)
    folder.claim()
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
    known = prepare(RUN.but(tasks=(ROW,))).given.streams[""].known.index
    for pool in (False, True):
        choice = functools.partial(Constant, 0)
        row = CLASSIC.but(choices=(choice,), pool=pool, seeds=1, first_seed=1)
        fitted(row, tmp_path / str(pool))
        x, y = Constant.given
        index = np.flatnonzero(y >= 0) if pool else known[1]
        np.testing.assert_array_equal(index, known[1])
        assert len(y) == (96 if pool else 24)
        np.testing.assert_array_equal(y[y >= 0], DATA.train["row"][known[1]])
        np.testing.assert_array_equal(x[0], DATA.train["image"][0 if pool else known[1][0]].ravel())


def test_validation_chooses(tmp_path):
    shares = [np.mean(DATA.validation["row"] == answer) for answer in range(3)]
    row = CLASSIC.but(choices=tuple(functools.partial(Constant, a) for a in range(3)), seeds=1)
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
    ("choice", "pool"),
    [(BASE, False), (functools.partial(spreading, kernel="knn", n_neighbors=3), True),
     (functools.partial(self_training, BASE, threshold=0.8), True)],
    ids=["logistic", "spreading", "self-training"],
)  # fmt: skip
def test_scikit_learns_estimators_learn(choice, pool, tmp_path):
    row = CLASSIC.but(choices=(choice,), pool=pool, seeds=1)
    folder = fitted(row, tmp_path)
    assert folder.result()["selected"][0]["test"]["row"]["accuracy"] > 0.6  # a third by chance


def test_rows_stand_in_the_table_below_the_runs(tmp_path):
    whole = Experiment(runs=(RUN.but(tasks=(ROW,)),), classics=(CLASSIC,))
    assert sweep(whole, whole, tmp_path, fresh=False) == 0
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["hard", "logistic"]
    before = (tmp_path / "logistic" / "result.json").stat().st_mtime_ns
    assert sweep(whole, whole, tmp_path, fresh=False) == 0
    assert (tmp_path / "logistic" / "result.json").stat().st_mtime_ns == before, "fitted once"
    changed = Experiment(runs=whole.runs, classics=(CLASSIC.but(labelled=30),))
    with pytest.raises(BadInput, match="was written by another run"):
        sweep(changed, changed, tmp_path, fresh=False)


def test_estimators_alone_have_a_table_and_no_curves(tmp_path):
    whole = Experiment(runs=(RUN.but(tasks=(ROW,)),), classics=(CLASSIC,))
    (tmp_path / "curves.png").touch()
    assert sweep(asked(whole, [], None, "logistic", False), whole, tmp_path, fresh=False) == 0
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:3]] == ["logistic"]
    assert not (tmp_path / "curves.png").exists()


def test_the_command_line_chooses_among_both():
    whole = Experiment(runs=(RUN,), classics=(CLASSIC,))
    only = asked(whole, [], None, "logistic", False)
    assert (only.runs, only.classics) == ((), (CLASSIC,))
    assert asked(whole, [], 5, None, False).classics[0].seeds == 5
    assert asked(whole, [], None, "hard", True).classics == ()
    with pytest.raises(BadInput, match="different names"):
        Experiment(runs=(RUN,), classics=(CLASSIC.but(name="hard"),))


def test_settings_are_checked(tmp_path):
    for field, value in (("choices", ()), ("choices", (3,)), ("seeds", 0), ("labelled", 0)):
        with pytest.raises(BadInput, match=rf"Classic\.{field} must"):
            CLASSIC.but(**{field: value})
    several = ROW.but(loss=losses.binary_cross_entropy, metric=metrics.F1())
    for task in (3, several, ROW.but(loss=np.subtract)):
        with pytest.raises(BadInput, match=r"Classic\.task must"):
            CLASSIC.but(task=task)
    with pytest.raises(BadInput, match=r"Classic\.data must be a source"):
        CLASSIC.but(data=type(DATA))
    with pytest.raises(BadInput, match=r"Classic\.pool must be False for numbers"):
        CLASSIC.but(task=HEIGHT, pool=True)
    missing = CLASSIC.but(task=ROW.but(name="colour"))
    with pytest.raises(BadInput, match="row 'logistic': the train data has no 'colour'"):
        sklearn_baseline.fit(missing, Folder(tmp_path, missing))
