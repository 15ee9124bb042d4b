"""Rows of scikit-learn: each metric against scikit-learn's own, choice by validation, refusals."""

import dataclasses
import functools
import re
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_squared_error
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mtl_jax import losses, metrics
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.sklearn_baseline import SklearnBaseline, self_training
from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.metric import Metric
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Arrays, Domains, Input, MultiInput
from mtl_jax.metrics import predictions
from mtl_jax.report.scores import scores
from mtl_jax.runner import sklearn_baseline, sklearn_data
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from tests.small import COLUMN, HEIGHT, ROW, RUN

KINDS = ("classes", "answer", "number")


def part(count, seed):
    """Numbers of which a class, a yes or no and a number can be half told."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).astype(np.float32)
    noisy = x + rng.normal(size=x.shape)
    return {
        "inputs": x,
        "classes": noisy[:, :3].argmax(1).astype(np.int32),
        "answer": (noisy[:, 0] > 0.7).astype(np.float32),
        "number": noisy[:, :2].sum(1).astype(np.float32),
    }


WHOLE = tuple(part(count, seed) for seed, count in enumerate((90, 50, 70)))
CLASSES = ROW.replace(name="classes")
ANSWER = CLASSES.replace(
    name="answer", num_outputs=1, loss=losses.binary_cross_entropy, metrics=(metrics.F1(),)
)
NUMBER = HEIGHT.replace(name="number")
NEIGHBOURS = tuple(functools.partial(KNeighborsClassifier, k) for k in (1, 5, 20))
TASKS = (
    (CLASSES, NEIGHBOURS, accuracy_score),
    (ANSWER, NEIGHBOURS, f1_score),
    (NUMBER, tuple(functools.partial(KNeighborsRegressor, k) for k in (1, 5, 20)), mean_squared_error),
)  # fmt: skip


def with_gaps(arrays, every=4):
    """The part with labels missing in every fourth row."""
    out = np.arange(len(arrays["inputs"])) % every == 1
    missing = {"classes": np.int32(-1), "answer": np.nan, "number": np.nan}
    return {"inputs": arrays["inputs"]} | {
        name: np.where(out, missing[name], arrays[name]).astype(arrays[name].dtype)
        for name in KINDS
    }


def without_gaps(arrays, every=4):
    """Those rows of the part that keep their labels."""
    kept = np.arange(len(arrays["inputs"])) % every != 1
    return {name: array[kept] for name, array in arrays.items()}


def row_of(task, choices, data=WHOLE, **settings):
    return SklearnBaseline(
        name="row", data=Arrays(*data), task=task, candidates=choices, **settings
    )


def result_of(row, root):
    """The result of a row that was checked and fitted."""
    sklearn_data.check(row)
    folder = RunDirectory(root, row)
    folder.create()
    sklearn_baseline.fit(row, folder)
    return folder.result()


@pytest.mark.slow
@pytest.mark.parametrize(("task", "choices", "judge"), TASKS, ids=KINDS)
def test_the_tasks_own_metric_judges_and_its_direction_chooses(task, choices, judge, tmp_path):
    """All parts lack labels, which are masked in fitting, choosing and telling."""
    found = result_of(row_of(task, choices, tuple(map(with_gaps, WHOLE))), tmp_path)
    train, validation, test = (without_gaps(each) for each in WHOLE)
    fitted = [make().fit(train["inputs"], train[task.name]) for make in choices]
    expected = [
        [judge(each[task.name], model.predict(each["inputs"])) for model in fitted]
        for each in (validation, test)
    ]
    best = (np.argmax if task.selection_metric.higher_is_better else np.argmin)(expected[0])
    (selected,) = found["selected"]
    assert selected["choice"] == best
    for name, values in zip(("validation", "test"), expected, strict=True):
        told = selected[name][task.name][task.selection_metric.name]
        np.testing.assert_allclose(told, values[best], rtol=1e-5)
    (of_test,) = found["best_on_test"]
    best_of = max if task.selection_metric.higher_is_better else min
    np.testing.assert_allclose(
        of_test[task.name][task.selection_metric.name], best_of(expected[1]), rtol=1e-5
    )
    assert found["warnings"] == []


def flipped(arrays):
    """The part with labels of other examples."""
    return {n: a if n == "inputs" else np.roll(a, len(a) // 2, axis=0) for n, a in arrays.items()}


@pytest.mark.parametrize(("task", "choices", "judge"), TASKS, ids=KINDS)
def test_test_data_changes_nothing_but_what_is_told_of_test(task, choices, judge, tmp_path):
    train, validation, test = WHOLE
    one = result_of(row_of(task, choices), tmp_path / "one")
    other = result_of(row_of(task, choices, (train, validation, flipped(test))), tmp_path / "two")
    for kind in ("choice", "validation"):
        assert one["selected"][0][kind] == other["selected"][0][kind]
    assert one["selected"][0]["test"] != other["selected"][0]["test"]


def test_validation_chooses_where_test_would_choose_otherwise(tmp_path):
    """Validation is the training data itself, which one neighbour knows by heart; test is not."""
    train, _, test = WHOLE
    found = result_of(row_of(CLASSES, NEIGHBOURS, (train, train, test)), tmp_path)
    (selected,), (best,) = found["selected"], found["best_on_test"]
    assert selected["choice"] == 0 and selected["validation"]["classes"]["accuracy"] == 1.0
    assert selected["test"]["classes"]["accuracy"] < best["classes"]["accuracy"]


@pytest.mark.parametrize(("task", "choices", "judge"), TASKS, ids=KINDS)
def test_an_example_without_a_label_changes_nothing(task, choices, judge, tmp_path):
    one = result_of(row_of(task, choices, tuple(map(with_gaps, WHOLE))), tmp_path / "one")
    other = result_of(row_of(task, choices, tuple(map(without_gaps, WHOLE))), tmp_path / "two")
    assert one == other


@pytest.mark.parametrize("name", KINDS[:2])
def test_the_pool_has_the_labels_of_a_run_and_none_else(name, tmp_path):
    task, labelled = {"classes": CLASSES, "answer": ANSWER}[name], 12
    data = tuple(map(with_gaps, WHOLE))
    row = row_of(task, (Kept,), data, use_unlabelled=True, num_labelled=labelled)
    result_of(row, tmp_path)
    x, y = Kept.given
    run = RUN.replace(data=row.data, tasks=(task,), labels={"num_labelled": labelled}, num_seeds=1)
    index = np.asarray(load_run_data(run).train.streams[""].labelled.index[0])
    np.testing.assert_array_equal(x, data[0]["inputs"])
    np.testing.assert_array_equal(np.flatnonzero(y != -1), index)
    np.testing.assert_array_equal(y[index], data[0][name][index])
    self_trained = functools.partial(self_training, LogisticRegression)
    assert (
        result_of(row.replace(candidates=(self_trained,)), tmp_path / "trained")["warnings"] == []
    )


def test_a_target_domain_is_judged_and_comes_without_labels(tmp_path):
    train, *judged = WHOLE
    source, other = Arrays(*WHOLE), Arrays(train | {"number": -train["number"]}, *judged)
    row = row_of(CLASSES, (Kept,)).replace(data=Domains((source,), other), use_unlabelled=True)
    (selected,) = result_of(row, tmp_path)["selected"]
    x, y = Kept.given
    np.testing.assert_array_equal(x, np.concatenate([train["inputs"]] * 2))
    np.testing.assert_array_equal(y, [*train["classes"], *np.full(90, -1)])
    share = np.mean(judged[1]["classes"] == 1)
    np.testing.assert_allclose(selected["test"]["classes"]["accuracy"], share, rtol=1e-6)


class Kept:
    """Keeps what it was given, and says class 1 of everything."""

    given = None

    def fit(self, x, y):
        Kept.given = (x, y)

    def predict(self, x):
        return np.ones(len(x), int)


@dataclasses.dataclass(frozen=True)
class LogLoss(Metric):
    """A user's own metric, which reads probabilities."""

    name: ClassVar[str] = "log loss"
    higher_is_better: ClassVar[bool] = False
    scale: ClassVar[float] = 1.0

    def from_model_output(self, logits, labels, mask):
        if logits.shape[1] == 1:
            each = losses.binary_cross_entropy(logits, labels)
        else:
            each = losses.cross_entropy(logits, labels)
        return predictions.masked_sums(each, mask)

    def compute(self, sums):
        return jnp.divide(sums.total, sums.count)


class Refusing(LogLoss):
    """A user's own metric, which takes other outputs."""

    def from_model_output(self, logits, labels, mask):
        raise ValueError(f"no such outputs: {logits.shape}")


@pytest.mark.parametrize("task", [CLASSES, ANSWER], ids=KINDS[:2])
def test_a_metric_of_probabilities_sees_them(task, tmp_path):
    task = task.replace(metrics=(LogLoss(),))
    choices = tuple(functools.partial(LogisticRegression, C=c) for c in (1e-4, 1.0))
    (selected,) = result_of(row_of(task, choices), tmp_path)["selected"]
    train, _, test = WHOLE
    model = choices[1]().fit(train["inputs"], train[task.name])
    expected = log_loss(test[task.name], model.predict_proba(test["inputs"]))
    assert selected["choice"] == 1
    np.testing.assert_allclose(selected["test"][task.name]["log loss"], expected, rtol=1e-5)
    with pytest.raises(
        BadInput, match=r"'row', choice 0 must have predict_proba, since a metric .log loss"
    ):
        sklearn_data.check(row_of(task, (RidgeClassifier,)))


def unlabelled(arrays):
    """The part without a label."""
    return arrays | {"classes": np.full_like(arrays["classes"], -1)}


def test_without_a_validation_label_the_first_choice_is_taken_and_it_is_told(tmp_path):
    train, validation, test = WHOLE
    row = row_of(CLASSES, NEIGHBOURS[::-1], (train, unlabelled(validation), test), num_seeds=2)
    found = result_of(row, tmp_path)
    model = KNeighborsClassifier(20).fit(train["inputs"], train["classes"])
    right = accuracy_score(test["classes"], model.predict(test["inputs"]))
    for selected in found["selected"]:
        assert selected["choice"] == 0 and np.isnan(selected["validation"]["classes"]["accuracy"])
        np.testing.assert_allclose(selected["test"]["classes"]["accuracy"], right, rtol=1e-6)
    (told,) = found["warnings"]
    assert "validation has no accuracy of 'classes' in seeds [0, 1]" in told
    assert "the first of 3 choices" in told


def test_a_class_that_training_lacks_is_told(tmp_path):
    train, *judged = WHOLE
    two = train | {"classes": np.minimum(train["classes"], 1)}
    (told,) = result_of(row_of(CLASSES, NEIGHBOURS, (two, *judged)), tmp_path)["warnings"]
    assert "no training label of 'classes' is of class 2" in told


def test_one_fit_has_no_last_evaluation_and_no_median(tmp_path):
    row = row_of(CLASSES, NEIGHBOURS)
    whole = Experiment(runs=(), sklearn_baselines=(row,))
    assert sweep(whole, whole, tmp_path) == 0
    folder = RunDirectory(tmp_path, row)
    assert not {"last", "median"} & folder.result().keys()
    read = scores(row, folder)
    assert read.last == read.last_ema == read.median == {}
    chosen = folder.result()["selected"][0]
    assert read.validation["classes"] == 100 * chosen["validation"]["classes"]["accuracy"]
    head, _, line, *_ = (tmp_path / "table.md").read_text().splitlines()
    cells = dict(zip(*([c.strip() for c in text.split("|")] for text in (head, line)), strict=True))
    assert cells["last"] == "-"
    head, line = (text.split(",") for text in (tmp_path / "table.csv").read_text().splitlines())
    cells = dict(zip(head, line, strict=True))
    assert cells["last"] == cells["last_ema"] == cells["median"] == ""
    assert float(cells["selected"]) == read.selected["classes"]


NAN = WHOLE[1]["inputs"].copy()
NAN[3, 1] = np.nan


class Made(DataSource):
    """A user's own source, which holds whatever it was given."""

    def __init__(self, train, validation=None, test=None):
        self.parts = (train, validation or train, test or train)

    def shapes(self):
        return {}

    def load(self):
        return Splits(*self.parts)


ONE = WHOLE[0] | {"classes": np.zeros(90, np.int32)}
HALF = np.stack([WHOLE[0]["number"]] * 2, 1)
HALF[5, 1] = np.nan


@pytest.mark.parametrize(
    ("task", "choices", "changes", "said"),
    [
        (CLASSES, NEIGHBOURS, {"classes": ONE["classes"]}, "two classes or more, but seed 0"),
        (CLASSES, NEIGHBOURS, {"classes": WHOLE[0]["number"]}, r"integers \[N\], but the train"),
        (CLASSES.replace(num_outputs=2), NEIGHBOURS, {}, r"must lie in 0..1 .* has class 2"),
        (CLASSES, NEIGHBOURS, {"classes": WHOLE[0]["classes"] - 2}, "in 0..2 .* has class -2"),
        (ANSWER, NEIGHBOURS, {"answer": WHOLE[0]["answer"] / 2}, r"0 or 1 .* has \[0.5\]"),
        (ANSWER, NEIGHBOURS, {"answer": 2 * WHOLE[0]["answer"] - 1}, r"0 or 1 .* has \[-1.\]"),
        (NUMBER, (Ridge,), {"number": WHOLE[0]["classes"]}, r"must be floats .* has int32 \[90\]"),
        (NUMBER, (Ridge,), {"number": HALF}, r"must be 1 numbers .* has float32 \[90, 2\]"),
        (NUMBER.replace(num_outputs=2), (Ridge,), {"number": HALF}, "missing as a whole, .* 1 that are"),
        (CLASSES, NEIGHBOURS, {"inputs": np.ones((90, 7), np.int32)}, "not int32 .* such as tokens"),
        (CLASSES, NEIGHBOURS, {"inputs": np.pad(NAN, ((0, 40), (0, 0)))}, "but 1 of 90 images"),
        (NUMBER, (LogisticRegression,), {}, "'row', choice 0 must be a regressor.* not LogisticR"),
        (CLASSES, (*NEIGHBOURS, Ridge), {}, "'row', choice 3 must be a classifier.* not Ridge"),
        (CLASSES, (functools.partial(Ridge, c=1),), {}, "choice 0 cannot be made: .*'c'"),
        (CLASSES, (functools.partial(dict),), {}, "choice 0 must make an estimator with fit"),
        (CLASSES, (functools.partial(np.array, 3),), {}, "choice 0 must make an estimator"),
        (CLASSES.replace(metrics=(Refusing(),)), NEIGHBOURS, {}, "row 'row': metric of 'classes': no such"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_trains(
    task, choices, changes, said, tmp_path
):
    row = row_of(task, choices).replace(data=Made(WHOLE[0] | changes))
    with pytest.raises(BadInput, match=said) as wrong:
        sklearn_data.check(row)
    assert "\n" not in str(wrong.value) and "row 'row'" in str(wrong.value)


def test_data_without_one_input_or_with_other_counts_are_refused():
    row = row_of(CLASSES, NEIGHBOURS)
    streams = MultiInput((Input("classes", row.data, "classes"),))
    with pytest.raises(BadInput, match="row 'row': the train data has no 'inputs'"):
        sklearn_data.check(row.replace(data=streams))
    fewer = Made(*WHOLE[:2], WHOLE[2] | {"classes": WHOLE[2]["classes"][:-1]})
    none = Made(*WHOLE[:2], {name: array[:0] for name, array in WHOLE[2].items()})
    for data, said in ((fewer, "(70,) and (69,)"), (none, "(0,) and (0,)")):
        with pytest.raises(BadInput, match=re.escape(f"at least one, not {said}")):
            sklearn_data.check(row.replace(data=data))


def test_images_of_another_size_in_one_part_are_refused():
    other = WHOLE[2] | {"inputs": WHOLE[2]["inputs"][:, :3]}
    row = row_of(CLASSES, NEIGHBOURS).replace(data=Made(*WHOLE[:2], other))
    with pytest.raises(BadInput, match=r"the test data must have images of shape \[4\].* \[3\]"):
        sklearn_data.check(row)


def test_no_run_trains_beside_a_row_of_one_class(tmp_path):
    row = row_of(CLASSES, NEIGHBOURS, (ONE, *WHOLE[1:]))
    whole = Experiment(runs=(RUN.replace(tasks=(ROW, COLUMN)),), sklearn_baselines=(row,))
    with pytest.raises(BadInput):
        sweep(whole, whole, tmp_path)
    assert not (tmp_path / "hard").exists()


def test_a_row_that_cannot_be_fitted_is_told_before_runs_train(tmp_path, monkeypatch, capsys):
    def train(own, groups, splits):
        names = [run.name for group in groups for run in group.runs]
        assert list(own.failures) == ["row"] and names == ["hard"]

    monkeypatch.setattr("mtl_jax.runner.rows.train", train)
    row = row_of(CLASSES, (NEIGHBOURS[0], functools.partial(KNeighborsClassifier, 91)))
    whole = Experiment(runs=(RUN.replace(tasks=(ROW, COLUMN)),), sklearn_baselines=(row,))
    assert sweep(whole, whole, tmp_path) == 1
    assert capsys.readouterr().err.startswith("error: row 'row'")


def test_what_an_estimator_refuses_names_row_choice_and_seed(tmp_path):
    choices = (NEIGHBOURS[0], functools.partial(KNeighborsClassifier, 91))
    row = row_of(CLASSES, choices, first_seed=3)
    with pytest.raises(BadInput, match="row 'row', choice 1, seed 3: Expected n_neighbors <= n_s"):
        result_of(row, tmp_path)
    wrong = row_of(CLASSES, (functools.partial(Told, 2.5),))
    with pytest.raises(BadInput, match=r"Told must predict \[50\] classes in 0..2, not \[2.5\]"):
        result_of(wrong, tmp_path / "told")
    two = row_of(ANSWER, (functools.partial(Told, 2),))
    with pytest.raises(BadInput, match=r"Told must predict \[50\] classes in 0..1, not \[2\]"):
        result_of(two, tmp_path / "two")
    for kind, shape in ((Columned, r"\[50, 1\]"), (Few, r"\[49\]")):
        other = row_of(CLASSES, (functools.partial(kind, 2),))
        text = rf"row 'row', choice 0, seed 0: {kind.__name__} must predict \[50\] .*, not {shape}"
        with pytest.raises(BadInput, match=text):
            result_of(other, tmp_path / kind.__name__)


class Told(Kept):
    """Says one thing of everything."""

    def __init__(self, said):
        self.said = said

    def predict(self, x):
        return np.full(len(x), self.said)


class Columned(Told):
    """Says it in a column."""

    def predict(self, x):
        return super().predict(x)[:, None]


class Few(Told):
    """Says nothing of the last."""

    def predict(self, x):
        return super().predict(x)[:-1]


def test_unsigned_classes_are_classes(tmp_path):
    bytes_of = tuple(p | {"classes": p["classes"].astype(np.uint8)} for p in WHOLE)
    one, two = (
        result_of(row_of(CLASSES, NEIGHBOURS, data), tmp_path / str(at))
        for at, data in enumerate((bytes_of, WHOLE))
    )
    assert one == two


def behind_scaling(make):
    """An estimator on standardised numbers, which a forest does not feel."""
    return make_pipeline(StandardScaler(), make())


def test_random_choices_are_those_of_the_seed(tmp_path):
    forest = functools.partial(RandomForestClassifier, 3, max_depth=2)
    row = row_of(CLASSES, (functools.partial(behind_scaling, forest),), num_seeds=3, first_seed=4)
    one, two = (result_of(row, tmp_path / name) for name in ("one", "two"))
    assert one == two
    train, _, test = WHOLE
    for seed, selected in enumerate(one["selected"], 4):
        model = forest(random_state=seed).fit(train["inputs"], train["classes"])
        right = accuracy_score(test["classes"], model.predict(test["inputs"]))
        np.testing.assert_allclose(selected["test"]["classes"]["accuracy"], right, rtol=1e-6)
    fixed = row_of(CLASSES, (functools.partial(forest, random_state=0),), num_seeds=2)
    first, second = result_of(fixed, tmp_path / "fixed")["selected"]
    assert first == second


@pytest.mark.parametrize(
    "features", [None, RUN.replace(tasks=(ROW,), num_seeds=1)], ids=["pixels", "run"]
)
def test_settings_that_scikit_learn_refuses_are_told_before_anything_trains(features):
    choices = (NEIGHBOURS[0], functools.partial(KNeighborsClassifier, -3))
    row = row_of(CLASSES, choices).replace(features_from=features)
    with pytest.raises(BadInput, match=r"choice 1: The 'n_neighbors' parameter .* Got -3 instead"):
        sklearn_data.check(row)
