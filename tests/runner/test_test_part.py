"""The test part is evaluated at the end, unless a run asks for every evaluation."""

import json

import jax
import numpy as np
import pytest

from mtl_jax import metrics, nets
from mtl_jax.config.execution import Execution
from mtl_jax.config.experiment import Experiment
from mtl_jax.runner import compiled_run, evaluation
from mtl_jax.runner.sweep import sweep
from mtl_jax.storage.run_directory import RunDirectory
from tests.small import COLUMN, HEIGHT, ROW, RUN

LATE = RUN.replace(
    name="end",
    tasks=(ROW, COLUMN),
    trunk=nets.MLP((12,), batch_norm=True),
    steps=12,
    evaluation={"every": 2},
)
KINDS = {
    "joint": LATE,
    "rank": LATE.replace(tasks=(ROW, HEIGHT)),
    "per_task": LATE.replace(evaluation={"selection": "per_task"}),
    "last": LATE.replace(evaluation={"selection": "last"}),
    "last_ema": LATE.replace(evaluation={"selection": "last_ema"}),
    "patience": LATE.replace(evaluation={"patience": 1, "every": 1}, optimizer={"learning_rate": 0.3}),
    "host metric": LATE.replace(tasks=(ROW.replace(metrics=(*ROW.metrics, metrics.AdaptiveCalibrationError())), COLUMN)),
    "no average": LATE.replace(evaluation={"ema_decay": 0.0}),
    "streamed": LATE.replace(execution=Execution(data_location="host", steps_per_call=2)),
}  # fmt: skip
QUICK = ("joint", "per_task", "streamed")
HISTORY = ("median_of", "median", "best_on_test")


def trained(run, root, **options):
    experiment = Experiment(runs=(run,), **options)
    assert sweep(experiment, experiment, root) == 0
    folder = RunDirectory(root, run)
    return folder.records(), folder.result()


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
)
def test_the_end_gives_what_every_evaluation_gives(kind, tmp_path):
    run = KINDS[kind]
    records, result = trained(run, tmp_path / "end")
    others, other = trained(run.replace(evaluation={"test": "every"}), tmp_path / "every")
    assert all("test" not in record and "validation" in record for record in records)
    assert [{**record, "test": None} for record in others] == [
        {**record, "test": None} for record in records
    ]
    assert not any(name in result for name in HISTORY)
    shared = {name: value for name, value in other.items() if name not in HISTORY}
    for name in ("selected", "last"):
        one, two = result.pop(name), shared.pop(name)
        assert jax.tree.structure(one) == jax.tree.structure(two)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
            assert a == b if isinstance(a, str) else a == pytest.approx(b, rel=1e-6)
    assert result == shared


@pytest.mark.slow
def test_a_population_is_evaluated_at_its_end(tmp_path):
    rates = (0.05, 0.1)
    runs = tuple(LATE.replace(name=f"{r}", optimizer={"learning_rate": r}) for r in rates)
    found = []
    for name, most in (("alone", 1), ("together", None)):
        experiment = Experiment(runs=runs, max_population=most)
        assert sweep(experiment, experiment, tmp_path / name) == 0
        folders = [RunDirectory(tmp_path / name, run) for run in runs]
        assert all("test" not in record for folder in folders for record in folder.records())
        entries = [folder.result()["selected"] for folder in folders]
        found.append([[entry["test"] for entry in by_seed] for by_seed in entries])
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4), *found)


def test_the_test_part_is_not_evaluated_before_the_end(tmp_path, monkeypatch):
    seen = []

    def watch(compiled, models, data, splits):
        seen.append((*splits, *models))
        return real(compiled, models, data, splits)

    real = evaluation.evaluate
    monkeypatch.setattr(evaluation, "evaluate", watch)
    trained(KINDS["per_task"], tmp_path)
    during, end = ("validation", "raw", "ema"), ("test", "raw", "ema", "selected/row", "selected/column")  # fmt: skip
    assert seen == [during] * 6 + [end]


@pytest.mark.parametrize(("decay", "models"), [(0.0, 1), (0.9, 2)])
def test_what_is_not_averaged_is_evaluated_once(decay, models, tmp_path, monkeypatch):
    calls, real = [], compiled_run.jit_evaluation

    class Counted:
        """The jitted function, counting its calls."""

        def __init__(self, options):
            self.function = real(options)
            self.trace, self.lower = self.function.trace, self.function.lower

        def __call__(self, config, params, stats, splits):
            calls.append(tuple(splits))
            return self.function(config, params, stats, splits)

    monkeypatch.setattr(compiled_run, "jit_evaluation", Counted)
    run = LATE.replace(evaluation={"ema_decay": decay, "selection": "last"})
    records, _ = trained(run, tmp_path)
    assert calls == [("validation",)] * 6 * models + [("test",)] * models
    same = [record["validation"]["raw"] == record["validation"]["ema"] for record in records]
    assert all(same) == (decay == 0.0)


def test_an_interrupted_end_is_repeated(tmp_path, monkeypatch):
    """The process is killed in the last evaluation; the next launch trains nothing."""
    real = evaluation.final_metrics

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation, "final_metrics", die)
    with pytest.raises(KeyboardInterrupt):
        trained(LATE, tmp_path)
    monkeypatch.setattr(evaluation, "final_metrics", real)
    before = (tmp_path / LATE.name / "metrics.jsonl").read_text()
    _, result = trained(LATE, tmp_path)
    assert (tmp_path / LATE.name / "metrics.jsonl").read_text() == before
    _, whole = trained(LATE, tmp_path / "whole")
    assert json.dumps(result) == json.dumps(whole)
