"""Checkpoints: what is saved comes back, damage is seen, the one before is taken."""

import shutil

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.run_data import load_run_data
from tests.small import RUN


@pytest.fixture(scope="module")
def states():
    prepared = load_run_data(RUN)
    made = compile_run(RUN, jax.eval_shape(lambda: prepared.train), jax.devices()[:1])
    given = made.put_data(prepared.train)
    states = [made.init(None)]
    for _ in range(3):
        states.append(made.train_steps(jax.tree.map(lambda x: x.copy(), states[-1]), given, 4)[0])
    return states


@pytest.fixture
def saved(states, tmp_path):
    """Checkpoints of steps 4, 8 and 12, of which two are kept; and the warnings."""
    warnings = []
    checkpoints = CheckpointManager(tmp_path / "checkpoints", warnings.append)
    for step in (4, 8, 12):
        candidates = {"0": {f"{step}-ema": {"params": np.full(3, step), "stats": {}}}}
        candidates = candidates if step > 4 else {}
        checkpoints.save(step, states[step // 4], candidates, {"seconds": float(step)})
    checkpoints.wait()
    return checkpoints, warnings


def same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        a, b = (
            jax.random.key_data(x) if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key) else x
            for x in (a, b)
        )
        np.testing.assert_array_equal(a, b)


def forge(folder):
    """Writes a checkpoint again with one number changed; orbax would load it silently."""
    tree = ocp.load(folder, checkpointable_name="state")
    about = ocp.checkpointables_metadata(folder).custom_metadata
    tree["params"]["shared"]["Dense_0"]["bias"][0, 3] += 1e-7
    ocp.save_checkpointables(folder, {"state": tree}, custom_metadata=about, overwrite=True)


def flip(folder):
    """Flips one bit of one file."""
    rng = np.random.default_rng(0)
    files = sorted(f for f in folder.rglob("*") if f.is_file() and f.stat().st_size)
    file = files[rng.integers(len(files))]
    data = bytearray(file.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    file.write_bytes(data)


def cut(folder):
    """Cuts a data file short."""
    file = max((f for f in folder.rglob("d/*")), key=lambda f: f.stat().st_size)
    file.write_bytes(file.read_bytes()[:-1])


def lose(folder):
    """Loses a data file."""
    next(folder.rglob("d/*")).unlink()


def test_the_last_two_are_kept_and_come_back_whole(saved, states):
    checkpoints, warnings = saved
    assert checkpoints.steps() == [8, 12]
    state, kept, note = checkpoints.restore(states[0])
    same(state, states[3])
    np.testing.assert_array_equal(kept["0"]["12-ema"]["params"], [12, 12, 12])
    assert note == {"seconds": 12.0}
    assert warnings == []


@pytest.mark.parametrize("damage", [forge, flip, cut, lose, shutil.rmtree])
def test_a_damaged_one_is_set_aside_for_the_one_before(saved, states, damage):
    checkpoints, warnings = saved
    damage(checkpoints.folder / "12")
    state, kept, note = checkpoints.restore(states[0])
    same(state, states[2])
    assert list(kept["0"]) == ["8-ema"]
    assert note == {"seconds": 8.0}
    assert len(warnings) == 1 and "damaged" in warnings[0]
    assert (checkpoints.folder / "broken-12").is_dir() == (damage is not shutil.rmtree)
    assert checkpoints.steps() == [8]


def test_one_that_was_killed_before_its_seal_does_not_count(saved, states):
    checkpoints, warnings = saved
    (checkpoints.folder / "12.sha256").unlink()
    same(checkpoints.restore(states[0])[0], states[2])
    assert warnings == []
    checkpoints.save(12, states[3], {}, {})
    checkpoints.wait()
    same(checkpoints.restore(states[0])[0], states[3])


def test_an_empty_folder_of_a_step_is_no_checkpoint(saved, states):
    checkpoints, _ = saved
    (checkpoints.folder / "16").mkdir()
    same(checkpoints.restore(states[0])[0], states[3])


def test_leftovers_of_a_kill_are_cleared_away(saved, states):
    checkpoints, _ = saved
    left = checkpoints.folder / "16.orbax-checkpoint-tmp"
    left.mkdir()
    checkpoints.restore(states[0])
    assert not left.exists()


def test_without_a_whole_checkpoint_there_is_none(saved, states):
    checkpoints, warnings = saved
    for step in (8, 12):
        flip(checkpoints.folder / str(step))
    assert checkpoints.restore(states[0]) is None
    assert len(warnings) == 2


def test_plain_dicts_for_other_runs(saved, states):
    tree = saved[0].load(12)
    same(tree["params"], states[3].params)
    forge(saved[0].folder / "12")
    with pytest.raises(ValueError, match="missing or damaged"):
        saved[0].load(12)


def test_what_a_killed_process_left_is_removed(tmp_path):
    manager = CheckpointManager(tmp_path, pytest.fail)
    for name in ("3", "4.orbax-checkpoint-tmp-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").write_text("x")
    assert manager.restore(None) is None
    assert list(tmp_path.iterdir()) == []
