"""Populations: runs that differ in numbers only are one program, with the results of each alone."""

import dataclasses
import json

import numpy as np
import optax
import pytest

from mtl_jax import aggregation, augment, consistency, metrics, optimizers, weighting
from mtl_jax.config.execution import Execution
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import population_groups
from mtl_jax.runner.compile_ahead import CompileAhead
from mtl_jax.runner.population_groups import can_share, group_runs
from mtl_jax.runner.population_loop import sealed_steps
from mtl_jax.runner.programs import DataShapes, Group, pending_groups, prepare_group
from mtl_jax.runner.trace import trace_population
from mtl_jax.runner.training import Training
from mtl_jax.storage.run_directory import RunDirectory
from tests.runner.populations import assert_equal, launched, state_digests, train
from tests.small import COLUMN, HEIGHT, ROW, RUN, UNLABELLED

SGD = optimizers.SGD
RATES = tuple(
    RUN.replace(name=f"rate {rate}", optimizer=SGD(optimizers.CosineSchedule(rate)))
    for rate in (0.02, 0.05, 0.1)
)

SEEDS = tuple(UNLABELLED.replace(name=f"from seed {s}", first_seed=s) for s in (0, 5, 6))


def with_threshold(threshold):
    tasks = tuple(t.replace(auxiliary=consistency.FixMatch(threshold)) for t in (ROW, COLUMN))
    return UNLABELLED.replace(name=f"threshold {threshold}", tasks=tasks)


GROUPS = {
    "learning rate of a schedule": RATES,
    "learning rate, with affinity": tuple(
        run.replace(evaluation={"measure_affinity": True}) for run in RATES[:2]
    ),
    "learning rate of an optax function, with affinity": tuple(
        RUN.replace(
            name=f"rate {rate}",
            optimizer=optimizers.Optax(optax.lamb, learning_rate=rate),
            evaluation={"measure_affinity": True},
        )
        for rate in (0.01, 0.02)
    ),
    "a setting of an optax function": tuple(
        RUN.replace(
            name=f"b1 {b1}", optimizer=optimizers.Optax(optax.lamb, learning_rate=0.01, b1=b1)
        )
        for b1 in (0.8, 0.9)
    ),
    "weight decay": tuple(
        RUN.replace(name=f"decay {decay}", optimizer=optimizers.Adam(0.01, decay))
        for decay in (0, 0.1)
    ),
    "weights of losses": tuple(
        RUN.replace(name=f"weights {first}", balance=weighting.Constant((first, 2.0 - first)))
        for first in (0.5, 1.0, 1.5)
    ),
    "threshold of FixMatch": tuple(map(with_threshold, (0.34, 0.9))),
    "decay of the average": tuple(
        RUN.replace(name=f"ema {decay}", evaluation={"ema_decay": decay}) for decay in (0.5, 0.9)
    ),
    "aggregator": tuple(
        RUN.replace(name=f"cagrad {c}", balance=aggregation.CAGrad(c)) for c in (0.2, 0.5)
    ),
}


@pytest.mark.parametrize("runs", GROUPS.values(), ids=GROUPS)
def test_results_are_those_of_separate_runs(runs, tmp_path):
    assert group_runs(runs, None) == [runs]
    assert trace_population(runs, None) is not None
    together, apart = train(runs, tmp_path / "together"), train(runs, tmp_path / "apart", most=1)
    assert_equal(together, apart)
    if "ema" not in runs[0].name:  # So few averaged steps have the same accuracies.
        assert len(set(together.values())) == len(runs)


def test_only_numbers_may_differ():
    other = RUN.replace(name="other", balance=aggregation.PCGrad())
    stops = RATES[0].replace(name="stops early", evaluation={"patience": 1})
    runs = (RATES[0], other, RATES[1], stops, RATES[2])
    assert group_runs(runs, None) == [RATES, (other,), (stops,)]
    assert group_runs(RATES, 2) == [RATES[:2], RATES[2:]]
    assert group_runs(RATES, 1) == [(run,) for run in RATES]
    assert not can_share(stops)


def test_a_run_that_does_not_average_is_not_with_those_that_do():
    runs = tuple(
        RUN.replace(name=f"ema {decay}", evaluation={"ema_decay": decay})
        for decay in (0.0, 0.5, 0.9)
    )
    assert group_runs(runs, None) == [runs[:1], runs[1:]]


def test_runs_whose_number_cannot_be_traced_are_parted_by_it():
    """Python branches on the degrees of a rotation, and not on a threshold."""
    runs = tuple(
        with_threshold(threshold).replace(
            name=f"{threshold}, {degrees}",
            augmentation={"strong": augment.Affine(degrees=degrees)},
        )
        for degrees in (0.0, 8.0)
        for threshold in (0.34, 0.9)
    )
    assert group_runs(runs, None) == [runs]
    with CompileAhead() as ahead:
        programs = prepare_group(Group(runs, runs[1:]), {0: DataShapes(None, None)}, ahead)
        assert [program.functions.runs for program in programs] == [runs[:2], runs[2:]]
        assert [program.runs for program in programs] == [runs[1:2], runs[2:]]


def test_a_group_of_a_size_that_is_given_must_fit(tmp_path, monkeypatch):
    data, of_run = population_groups.population_bytes(RATES)
    monkeypatch.setattr(population_groups, "device_memory", lambda: data + 3 * of_run)
    population_groups.check_population(RATES)
    train(RATES, tmp_path, most=3)
    monkeypatch.setattr(population_groups, "device_memory", lambda: data + 3 * of_run - 1)
    population_groups.check_population(RATES[:2])
    assert group_runs(RATES, None) == [(run,) for run in RATES]
    train(RATES, tmp_path, most=3)  # Nothing is to be trained.
    with pytest.raises(BadInput, match=r"max_population is too large: 'rate 0.02' and 2 more"):
        train(RATES, tmp_path / "other", most=3)
    assert not list((tmp_path / "other").glob("rate*"))


def test_members_share_time_and_memory_and_show_the_wait(tmp_path, capsys):
    runs = tuple(
        run.replace(execution=Execution(data_location="host", steps_per_call=2))
        for run in RATES[:2]
    )
    for root, most in (("one", 1), ("both", None)):
        assert launched(runs, tmp_path / root, most) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "and 1 more" in line]
    assert "of the time waiting" in line
    one, both = (
        json.loads((tmp_path / root / runs[0].name / "timing.json").read_text())
        for root in ("one", "both")
    )
    assert both["bytes"] < 1.5 * one["bytes"] and "wait_share" in both


@pytest.mark.parametrize("runs", [RATES, SEEDS], ids=["rates", "seeds"])
def test_a_population_resumes_bitwise(runs, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(runs, whole)
    evaluate = Training.evaluate

    def stop_at_the_third(self, step, affinity):
        evaluate(self, step, affinity)
        if step == 8 and self.run == runs[2]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Training, "evaluate", stop_at_the_third)
        train(runs, parts)
    assert [step for run in runs for step in sealed_steps(RunDirectory(parts, run))] == [4, 4, 4]
    train(runs, parts)
    assert state_digests(parts, runs) == state_digests(whole, runs)
    for run in runs:
        same = [(root / run.name / "metrics.jsonl").read_bytes() for root in (whole, parts)]
        assert same[0] == same[1]


def test_members_whose_checkpoints_differ_go_on_from_their_own(tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(RATES, whole)
    save = Training.save_checkpoint

    def stop_before_the_last(self, step):
        if step == 4 and self.run == RATES[2]:
            raise KeyboardInterrupt
        save(self, step)
        self.checkpoints.wait()

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Training, "save_checkpoint", stop_before_the_last)
        train(RATES, parts)
    assert [sealed_steps(RunDirectory(parts, run)) for run in RATES] == [[4], [4], []]
    train(RATES, parts)
    assert state_digests(parts, RATES) == state_digests(whole, RATES)


def test_a_run_that_diverges_fails_alone(tmp_path, capsys):
    wild = RATES[1].replace(name="wild", optimizer=SGD(optimizers.CosineSchedule(1e30)))
    runs = (RATES[0], wild, RATES[2])
    assert launched(runs, tmp_path) == 1
    assert "run 'wild' diverged" in capsys.readouterr().err
    assert (tmp_path / "wild" / "failure.json").is_file()
    assert all((tmp_path / run.name / "result.json").is_file() for run in (RATES[0], RATES[2]))


def test_a_number_that_python_branches_on_is_no_obstacle(tmp_path):
    runs = tuple(
        RUN.replace(
            name=f"scale {scale}",
            optimizer=SGD(0.05),
            param_rules=(ParamRule(".*", lr_scale=scale),),
        )
        for scale in (0.5, 1.0)
    )
    assert group_runs(runs, None) == [runs]
    assert trace_population(runs, None) is None
    train(runs, tmp_path)
    assert all((tmp_path / run.name / "result.json").is_file() for run in runs)


def test_a_run_that_began_alone_goes_on_alone(tmp_path, monkeypatch):
    alone, mixed = tmp_path / "alone", tmp_path / "mixed"
    train(RATES[:1], alone)
    evaluate = Training.evaluate

    def stop_at_the_end(self, step, affinity=None):
        evaluate(self, step, affinity)
        if step == 8:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Training, "evaluate", stop_at_the_end)
        train(RATES[:1], mixed)
    names = {run.name for run in RATES}
    folders = {run.name: RunDirectory(mixed, run) for run in RATES}
    found = [group.runs for group in pending_groups([RATES], names, folders, fresh=False)]
    assert found == [RATES[:1], RATES[1:]]
    train(RATES, mixed)
    assert state_digests(mixed, RATES[:1]) == state_digests(alone, RATES[:1])


@dataclasses.dataclass(frozen=True)
class Scaled(metrics.MeanSquaredError):
    """A metric with a number that its name does not have."""

    factor: float = 1.0

    def compute(self, sums):
        return self.factor * super().compute(sums)


def test_each_run_is_evaluated_by_its_own_metrics(tmp_path):
    runs = tuple(
        RUN.replace(name=f"{factor}", tasks=(HEIGHT.replace(metrics=(Scaled(factor=factor),)),))
        for factor in (1.0, 100.0)
    )
    assert group_runs(runs, None) == [runs]
    train(runs, tmp_path)
    found = [
        json.loads((tmp_path / run.name / "metrics.jsonl").read_text().splitlines()[0])
        for run in runs
    ]
    one, other = (record["validation"]["raw"]["height"]["mse"] for record in found)
    np.testing.assert_allclose(100 * np.array(one), other, rtol=1e-5)
