"""A number that is not finite: its step, seed and quantity are told, batch and checkpoint are kept."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import data, losses, optimizers, weighting
from mtl_jax.config.experiment import Experiment
from mtl_jax.core.balancing import GramWeighting
from mtl_jax.runner import replay
from mtl_jax.runner.sweep import SweepOptions, sweep
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.run_directory import RunDirectory
from tests.small import COLUMN, HEIGHT, ROW, RUN, part

MARK = 7.0  # The height of one training example, of which the loss is infinite.


def marked():
    """The small problem with one height that is larger than all others."""
    train = part(96, 0)
    train["height"][3] = MARK
    return data.Arrays(train, part(40, 1), part(40, 2))


def infinite(outputs, labels):
    """A loss that is infinite for large labels."""
    each = losses.squared_error(outputs, labels)
    return jnp.where(labels == MARK, jnp.inf, each)


def without_slope(outputs, labels):
    """A loss of finite values whose gradient at 0 is infinite."""
    return losses.cross_entropy(outputs, labels) + jnp.sqrt(jnp.maximum(outputs[..., 0], 0.0))


@dataclasses.dataclass(frozen=True)
class Inverse(GramWeighting):
    """Weights that are infinite if there are two tasks."""

    def weigh_gram(self, gram, state, key):
        return jnp.diag(gram) / (len(gram) - 2), state


FINE = RUN.replace(evaluation={"every": 2, "checkpoint_every": 2}, steps=40)
RUNS = {
    "loss/height is inf": FINE.replace(
        tasks=(ROW, HEIGHT.replace(loss=infinite)), data=marked(), labels={"num_labelled": 96}
    ),
    "gradient of 'row' at tasks/heads/row/": FINE.replace(
        tasks=(ROW.replace(loss=without_slope), COLUMN)
    ),
    "gradient by Inverse at shared/": FINE.replace(balance=Inverse()),
    "parameter shared/": FINE.replace(
        optimizer=optimizers.SGD(1e38), balance=weighting.Constant((1e3, 1e3))
    ),
}


def failed(run, root, capsys):
    """The line about a run that diverges, and its folder."""
    whole = Experiment(runs=(run,))
    assert sweep(whole, whole, root) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line, RunDirectory(root, run)


@pytest.mark.slow
@pytest.mark.parametrize("quantity", list(RUNS))
def test_quantity_seed_and_step_are_told(quantity, tmp_path, capsys):
    line, folder = failed(RUNS[quantity], tmp_path, capsys)
    assert line.startswith(f"error: run 'hard' diverged: {quantity}")
    found = re.search(r" in seed ([01]) at step (\d+), whose batch is in failure\.npz$", line)
    step = int(found[2])
    batch = np.load(folder.path / "failure.npz")
    assert batch["inputs/labelled"].shape == (8, 6, 6, 1) and batch["labels/row"].dtype == np.int32
    # Whatever is on disk is from before, and finite.
    assert [r["step"] for r in folder.records()] == list(range(2, step, 2))
    manager = CheckpointManager(folder.checkpoints, print)
    assert max(manager.steps(), default=0) == (step - 1) // 2 * 2
    for kept in manager.steps():
        for leaf in jax.tree.leaves(manager.load(kept)["params"]):
            assert np.isfinite(leaf).all()


@pytest.mark.slow
def test_the_batch_is_the_one_that_did_it(tmp_path, capsys):
    _, folder = failed(RUNS["loss/height is inf"], tmp_path, capsys)
    assert (np.load(folder.path / "failure.npz")["labels/height"] == MARK).any()


@pytest.mark.slow
def test_a_full_disk_does_not_hide_it(tmp_path, capsys, monkeypatch):
    def full(path, **_):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(np, "savez", full)
    line, _ = failed(RUNS["parameter shared/"], tmp_path, capsys)
    assert line.startswith("error: run 'hard' diverged: parameter shared/")
    assert "whose batch could not be stored: [Errno 28] No space left on device" in line


# By quantity, the operation that makes the first number that is not finite, and its function.
OPERATIONS = {
    "loss/height is inf": ("inf is made by select_n", "test_divergence.py", "infinite"),
    "gradient of 'row' at tasks/heads/row/": ("inf is made by ", "test_divergence.py", "slope"),
    "gradient by Inverse at shared/": ("inf is made by div", "test_divergence.py", "weigh_gram"),
    "parameter shared/": ("inf is made by mul", "", ""),
}


@pytest.mark.slow
@pytest.mark.parametrize("quantity", list(RUNS))
def test_debug_tells_the_operation_and_its_line(quantity, tmp_path, capsys):
    whole, operation = Experiment(runs=(RUNS[quantity],)), OPERATIONS[quantity]
    assert sweep(whole, whole, tmp_path, SweepOptions(debug=True)) == 1
    first, *lines, last = capsys.readouterr().err.splitlines()
    assert first.startswith("Traceback")
    assert last.startswith(f"error: run 'hard' diverged: {quantity}")
    note = next(line for line in lines if line.startswith("the first "))
    assert all(part in note for part in operation), note


@pytest.mark.slow
def test_a_replay_that_fails_does_not_hide_it(tmp_path, capsys, monkeypatch):
    def broken(function, *args):
        raise NotImplementedError("no rule")

    monkeypatch.setattr(replay, "find_origins", broken)
    whole = Experiment(runs=(RUNS["parameter shared/"],))
    assert sweep(whole, whole, tmp_path, SweepOptions(debug=True)) == 1
    *_, note, line = capsys.readouterr().err.splitlines()
    assert note == "the operation was not found: NotImplementedError: no rule"
    assert line.startswith("error: run 'hard' diverged: parameter shared/")
