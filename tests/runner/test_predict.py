"""Rows that read the features of a run: what they see, what is told, and what is refused."""

import functools

import numpy as np
import pytest

from mtl_jax import losses, nets, transfer
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Resized
from mtl_jax.runner.predict import predict_source, probabilities_of, transferability_scores
from mtl_jax.runner.run_selection import override, select_runs, topological_order
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.transfer.ridge_probe import RIDGES
from tests.small import DATA, HEIGHT, ROW, RUN

SOURCE = RUN.replace(
    name="source", tasks=(ROW,), trunk=nets.MLP((12,)), steps=8, labels={"num_labelled": None}
)
PROBE = SklearnBaseline(
    name="probe",
    data=DATA,
    task=ROW,
    candidates=tuple(functools.partial(transfer.RidgeClassifier, ridge) for ridge in RIDGES[::4]),
    num_labelled=24,
    num_seeds=2,
    features_from=SOURCE,
)
EXPERIMENT = Experiment(runs=(SOURCE,), sklearn_baselines=(PROBE,))


def test_a_probe_reads_the_features_of_a_trained_run(tmp_path):
    assert sweep(EXPERIMENT, EXPERIMENT, tmp_path) == 0
    folder = RunDirectory(tmp_path, SOURCE)
    images = DATA.test["inputs"]
    found = predict_source(SOURCE, folder, [images] * 2)
    assert found.features.shape == (2, 40, 12) and found.probabilities.shape == (2, 40, 3)
    np.testing.assert_allclose(found.probabilities.sum(-1), 1.0, rtol=1e-5)
    # The run's own head on these features has the run's own test accuracy.
    right = (found.probabilities.argmax(-1) == DATA.test["row"]).mean(1)
    chosen = [entry["test"]["row"]["accuracy"] for entry in folder.result()["selected"]]
    np.testing.assert_allclose(right, chosen, atol=1e-6)
    found = predict_source(SOURCE, folder, [images] * 2, "raw")
    right = (found.probabilities.argmax(-1) == DATA.test["row"]).mean(1)
    last = [entry["raw"]["row"]["accuracy"] for entry in folder.result()["last"]]
    np.testing.assert_allclose(right, last, atol=1e-6)
    result = RunDirectory(tmp_path, PROBE).result()
    assert len(result["promises"]) == 2 and set(result["promises"][0]) > {"LEEP", "LogME"}
    assert "## Estimates of transferability" in (tmp_path / "table.md").read_text()


def test_what_is_asked_of_runs_is_asked_of_the_one_that_is_read():
    small = select_runs(override(EXPERIMENT, ["steps=5"], None), 1, "probe", smoke=False)
    assert not small.runs and small.sklearn_baselines[0].features_from.steps == 5
    assert [(run.name, run.num_seeds) for run in topological_order(small)] == [("source", 1)]


def test_the_run_must_be_the_one_of_its_name_and_have_the_seeds():
    with pytest.raises(BadInput, match="must have different names"):
        Experiment(runs=(RUN.replace(name="source"),), sklearn_baselines=(PROBE,))
    with pytest.raises(BadInput, match="this row's 3 seeds"):
        PROBE.replace(num_seeds=3)


def test_images_of_another_shape_are_refused_before_anything_is_trained(tmp_path):
    other = Resized(DATA, (3, 3))
    with pytest.raises(BadInput, match="features_from must read images of"):
        sweep(
            *[Experiment(runs=(SOURCE,), sklearn_baselines=(PROBE.replace(data=other),))] * 2,
            tmp_path,
        )
    assert not (tmp_path / "source").exists()


def test_a_score_that_is_refused_is_none():
    random = np.random.default_rng(0)
    found = transferability_scores(
        random.normal(size=(4, 3)), np.full((4, 2), 0.5), np.zeros(4, int)
    )
    assert found["H-score"] is None


def test_probabilities_are_those_of_the_sources_classes():
    yes = ROW.replace(num_outputs=1, loss=losses.binary_cross_entropy)
    logits = np.log([[1.0], [3.0]]).astype(np.float32)
    np.testing.assert_allclose(probabilities_of(yes, logits), [[0.5, 0.5], [0.25, 0.75]], rtol=1e-6)
    classes = np.log([[1.0, 1.0, 2.0]]).astype(np.float32)
    np.testing.assert_allclose(probabilities_of(ROW, classes), [[0.25, 0.25, 0.5]], rtol=1e-6)
    none = probabilities_of(HEIGHT, logits)
    assert none.shape == (2, 0)
    random = np.random.default_rng(0)
    found = transferability_scores(
        random.normal(size=(20, 2)), np.zeros((20, 0)), np.arange(20) % 2
    )
    assert found["LEEP"] is None and found["NCE"] is None and found["H-score"] is not None
