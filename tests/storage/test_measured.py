"""Nothing that was measured is lost or guessed: runs go on from what fits together, or anew."""

import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_jax.runner import training
from mtl_jax.runner.step_blocks import is_due
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.run_metadata import due_steps
from tests.runner.launching import launched
from tests.small import RUN

FILE = """
from mtl_jax.config.experiment import Experiment
from tests.small import RUN

EXPERIMENT = Experiment(
    runs=(RUN.replace(name="long", steps=9, evaluation={'every': 2, 'checkpoint_every': 3}),)
)
"""
LONG = RUN.replace(name="long", steps=9, evaluation={"every": 2, "checkpoint_every": 3})


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "long.py"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def straight(file, tmp_path_factory):
    """The run in one go."""
    out = tmp_path_factory.mktemp("straight")
    assert launched(file, "--out", out)[0] == 0
    return out / "long"


def stopped(file, out):
    """The run, stopped at its second checkpoint: evaluated at 2, 4 and 6 of 9 steps."""

    class Stopping(training.CheckpointManager):
        def save(self, step, *args):
            super().save(step, *args)
            self.wait()
            if step == 6:
                raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "CheckpointManager", Stopping)
        with pytest.raises(KeyboardInterrupt):
            launched(file, "--out", out)
    return out / "long"


@pytest.fixture(scope="module")
def halfway(file, tmp_path_factory):
    return stopped(file, tmp_path_factory.mktemp("halfway"))


@pytest.fixture
def begun(halfway, tmp_path):
    """A copy of the run that was stopped."""
    shutil.copytree(halfway, tmp_path / "out" / "long")
    return tmp_path / "out" / "long"


def lines_of(folder):
    return (folder / "metrics.jsonl").read_text().splitlines(keepends=True)


def same(one, other):
    return all(
        (one / name).read_bytes() == (other / name).read_bytes()
        for name in ("metrics.jsonl", "result.json")
    )


def edited(line):
    """A line whose first validation metric is another number."""
    record = json.loads(line)
    record["validation"]["raw"]["row"]["accuracy"][0] += 0.5
    return json.dumps(record) + "\n"


DAMAGES = {
    "deleted": None,
    "emptied": lambda lines: [],
    "first line gone": lambda lines: lines[1:],
    "middle line gone": lambda lines: [lines[0], lines[2]],
    "last line gone": lambda lines: lines[:2],
    "last line cut": lambda lines: [*lines[:2], lines[2][:-20]],
    "a line twice": lambda lines: [lines[0], *lines],
    "another order": lambda lines: [lines[1], lines[0], lines[2]],
    "a broken line": lambda lines: [lines[0], "{broken\n", lines[2]],
    "a line of no measurement": lambda lines: [lines[0], "5\n", lines[2]],
    "another number": lambda lines: [edited(lines[0]), *lines[1:]],
    "an empty line": lambda lines: [lines[0], "\n", *lines[1:]],
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_run_without_its_measurements_begins_anew_and_loses_nothing(
    begun, straight, file, damage
):
    path = begun / "metrics.jsonl"
    if damage is None:
        path.unlink()
    else:
        path.write_text("".join(damage(lines_of(begun))))
    left = path.read_bytes() if path.exists() else None
    code, _, stderr = launched(file, "--out", begun.parent)
    said = " ".join(stderr.split())
    assert code == 0 and "run 'long' begins anew: its metrics.jsonl does not hold every" in said
    assert same(begun, straight)
    assert "checkpoints.old" in said and (begun / "checkpoints.old" / "6").is_dir()
    if left is not None:
        assert (begun / "metrics.jsonl.old").read_bytes() == left


def test_what_fits_together_goes_on(begun, straight, file):
    # A kill may leave more than the checkpoint has, and the half of a line.
    with open(begun / "metrics.jsonl", "a") as lines:
        lines.write(lines_of(straight)[3] + '{"step": 9, "tra')
    code, _, stderr = launched(file, "--out", begun.parent)
    assert code == 0 and "anew" not in stderr and same(begun, straight)
    assert not list(begun.glob("*.old"))


@pytest.mark.slow
@pytest.mark.parametrize("damage", [None, lambda lines: lines[1:]])
def test_an_older_checkpoint_says_less(straight, file, tmp_path, monkeypatch, damage):
    """It does not say whose it is nor what was measured: the steps must do."""
    with monkeypatch.context() as patch:
        patch.setattr(training, "checkpoint_identity", lambda *_: {})
        folder = stopped(file, tmp_path)
    if damage is not None:
        (folder / "metrics.jsonl").write_text("".join(damage(lines_of(folder))))
    code, _, stderr = launched(file, "--out", tmp_path)
    assert code == 0 and ("begins anew" in stderr) == (damage is not None)
    assert same(folder, straight)


@pytest.mark.slow
def test_a_run_before_its_first_checkpoint_measures_again(begun, straight, file):
    shutil.rmtree(begun / "checkpoints")
    (begun / "metrics.jsonl").write_text("{broken\n")
    assert launched(file, "--out", begun.parent)[0] == 0 and same(begun, straight)


def test_a_checkpoint_of_another_run_is_refused(begun, file):
    out = begun.parent
    (out / "long").rename(out / "kept")
    other = RunDirectory(out, LONG.replace(batch_size=9))
    other.create()
    shutil.copytree(out / "kept" / "checkpoints", other.checkpoints)
    shutil.copy(out / "kept" / "metrics.jsonl", other.path)
    code, _, stderr = launched(file, "--out", out, "--set", "batch_size=9")
    assert code == 1 and "is a checkpoint of another run (fingerprint " in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize("damage", [None, lambda lines: lines[1:], lambda lines: [*lines, "{\n"]])
def test_a_finished_run_that_lost_measurements_is_refused(straight, file, tmp_path, damage):
    out = tmp_path / "out"
    shutil.copytree(straight, out / "long")
    path = out / "long" / "metrics.jsonl"
    if damage is None:
        path.unlink()
    else:
        path.write_text("".join(damage(lines_of(straight))))
    code, _, stderr = launched(file, "--out", out)
    assert code == 1 and f"{path} " in stderr and f"mv {out / 'long'} {out / 'long.old'}" in stderr
    assert stderr.count("\n") == 1
    if damage is not None:
        assert launched(file, "--out", out, "--list")[0] == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 50), st.data())
def test_steps_of_evaluations(steps, every, more):
    """They are those after which the loop evaluates."""
    run = LONG.replace(steps=steps, evaluation={"every": every})
    up_to = more.draw(st.integers(0, steps))
    assert due_steps(run, up_to) == [s for s in range(1, up_to + 1) if is_due(run, s, every)]
    assert due_steps(run) == due_steps(run, steps)
