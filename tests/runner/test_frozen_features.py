"""Features of a frozen encoder are computed once, and nothing else changes."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment, consistency, data, nets, optimizers, weighting
from mtl_jax.config.execution import Execution
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.runner import frozen_features, trace
from mtl_jax.runner.sweep import sweep
from mtl_jax.runner.trace import trace_run
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.run_directory import RunDirectory
from tests import dense
from tests.faults.contents import contents
from tests.small import ROW, RUN

FROZEN = (ParamRule("shared/.*", frozen=True), ParamRule(".*"))
PLAIN = {"weak": None, "strong": None}
PROBE = RUN.replace(
    name="probe",
    trunk=nets.MLP((6, 5), batch_norm=True),
    num_seeds=1,
    param_rules=FROZEN,
    augmentation=PLAIN,
)
CNN = PROBE.replace(trunk=nets.CNN((4,)))
MAPS = dense.RUN.replace(param_rules=FROZEN, augmentation=PLAIN, num_seeds=1)
RUNS = {
    "vectors": PROBE,
    "images": CNN,
    "maps": MAPS,
    "weighted": CNN.replace(balance=weighting.Uncertainty(), optimizer=optimizers.Adam(0.01)),
    "bfloat16 in parts": PROBE.replace(execution=Execution(precision="bfloat16", microbatches=2)),
    "from a run": PROBE.replace(initialization={"init_from": PROBE.replace(name="source")}),
}


ROUNDED = ("vectors", "from a run")  # XLA rounds their encoder otherwise in a loop of steps.


def finished(run, root):
    """What a launch leaves of a run, and its last parameters."""
    source = run.initialization.init_from
    experiment = Experiment(runs=(run,) if source is None else (source, run))
    sweep(experiment, experiment, root)
    folder = RunDirectory(root, run)
    found = contents(folder.path)
    assert {"metrics.jsonl", "result.json", "checkpoints", "selected"} <= set(found)
    found = {name: value for name, value in found.items() if value is not None}
    return found, CheckpointManager(folder.checkpoints, print).load(run.steps)


@pytest.mark.parametrize("kind", RUNS)
def test_as_through_the_encoder_in_every_step(tmp_path, monkeypatch, kind):
    run = RUNS[kind]
    assert trace_run(run).compiled.encodes_once
    found, state = finished(run, tmp_path / "once")
    monkeypatch.setattr(trace, "encodes_once", lambda *_: False)
    assert not trace_run(run).compiled.encodes_once
    expected, expected_state = finished(run, tmp_path / "every step")
    if kind not in ROUNDED:
        assert found == expected
    for leaf, other in zip(*map(jax.tree.leaves, (state, expected_state)), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-5, atol=1e-6)


class Noisy(nn.Module):
    """A trunk that is random in training."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.Dense(4)(x.reshape(len(x), -1))
        return nn.Dropout(0.5, deterministic=not train, rng_collection="draw")(x)


class NoisyWithKey(nn.Module):
    """A trunk that is random in training if it has a key."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.Dense(4)(x.reshape(len(x), -1))
        if train and self.has_rng("draw"):
            x = x + jax.random.normal(self.make_rng("draw"), x.shape)
        return x


class Counting(nn.Module):
    """A trunk that keeps a statistic of its inputs, however it is frozen."""

    @nn.compact
    def __call__(self, x, *, train):
        mean = self.variable("batch_stats", "mean", jnp.zeros, ())
        if train and not self.is_initializing():
            mean.value = 0.9 * mean.value + 0.1 * x.mean()
        return nn.Dense(4)(x.reshape(len(x), -1))


OTHERS = {
    "trained": PROBE.replace(param_rules=()),
    "partly trained": PROBE.replace(
        param_rules=(ParamRule("shared/Dense_0/.*", frozen=True), ParamRule(".*"))
    ),
    "augmented": PROBE.replace(augmentation={"weak": augment.Cutout(2)}),
    "auxiliary loss": PROBE.replace(tasks=(ROW.replace(auxiliary=consistency.PseudoLabel()),)),
    "seeds": PROBE.replace(num_seeds=2),
    "seeds of a run": PROBE.replace(
        num_seeds=2, initialization={"init_from": PROBE.replace(num_seeds=2)}
    ),
    "data by seed": PROBE.replace(
        data=data.PerSeed(data.TwoMoons()), tasks=(ROW.replace(name="moon"),)
    ),
    "streamed": PROBE.replace(execution=Execution(data_location="host")),
    "dropout": PROBE.replace(trunk=Noisy()),
    "noise with a key": PROBE.replace(trunk=NoisyWithKey()),
    "statistics": PROBE.replace(trunk=Counting()),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_needs_the_encoder_in_every_step_has_it(kind):
    assert not trace_run(OTHERS[kind]).compiled.encodes_once


def test_features_that_do_not_fit_are_not_kept(monkeypatch):
    monkeypatch.setattr(frozen_features, "device_memory", lambda: 96 * 5 * 4 * 4)
    assert trace_run(PROBE).compiled.encodes_once  # 96 examples of 5 floats are a quarter.
    monkeypatch.setattr(frozen_features, "device_memory", lambda: 96 * 5 * 4 * 4 - 4)
    assert not trace_run(PROBE).compiled.encodes_once
