"""Checkpoints of own runs as weights: what was saved comes back, damage is seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import OWN_RUN_AVERAGED, OWN_RUN_LAST, RUN_CHECKPOINT, Pretrained
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.sealed import write_sealed
from mtl_jax.train import TrainState

TRUNK = nets.MLP((4,))
SHAPE = (3,)


def tree(value):
    """Parameters of two seeds, with a head."""
    drawn = jax.eval_shape(
        lambda: TRUNK.init(jax.random.key(0), jnp.zeros((1, *SHAPE)), train=False)
    )
    shared = jax.tree.map(
        lambda leaf: np.stack([np.full(leaf.shape, value + seed, np.float32) for seed in (0, 1)]),
        drawn["params"],
    )
    head = {
        "kernel": np.full((2, 4, 5), value + 0.5, np.float32),
        "bias": np.zeros((2, 5), np.float32),
    }
    return {"shared": shared, "tasks": {"heads": {"left": head}}}


@pytest.fixture
def run(tmp_path):
    """The folder of a run with checkpoints after 4 and 12 steps, and what validation selected."""
    checkpoints = CheckpointManager(tmp_path / "row" / "checkpoints", print)
    for step in (4, 12):
        state = TrainState(
            np.full(2, step), jax.random.split(jax.random.key(0)), tree(float(step)), {},
            tree(step + 100.0), (), (), {}, (),
        )  # fmt: skip
        checkpoints.save(step, state, {}, {})
        checkpoints.wait()
    selected = {"params": tree(52.0), "stats": {}}
    write_sealed(tmp_path / "row" / "selected", {"state": selected}, {})
    return tmp_path / "row"


def kernel(run, names=OWN_RUN_LAST, **settings):
    weights = Pretrained(str(run), names, **settings).load(TRUNK, SHAPE)
    return weights.params["Dense_0"]["kernel"], weights


def test_the_last_state_of_a_seed(run):
    for part, wanted in ((None, 12.0), ("0", 12.0), ("1", 13.0)):
        found, weights = kernel(run, part=part)
        np.testing.assert_array_equal(found, np.full((3, 4), wanted, np.float32))
        assert weights.head is None and weights.stats == {}
    for names, wanted in ((OWN_RUN_AVERAGED, 113.0), (RUN_CHECKPOINT, 53.0)):
        np.testing.assert_array_equal(kernel(run, names, part="1")[0], np.full((3, 4), wanted))


def test_a_head_by_its_task(run):
    rename = ((r"params/tasks/heads/left/(.*)", r"head/\1"),)
    head = kernel(run, rename=rename)[1].head
    np.testing.assert_array_equal(head["kernel"], np.full((4, 5), 12.5))


def test_a_seed_that_the_run_has_not(run):
    with pytest.raises(BadInput, match=r"row': part= must be a seed below 2, not '2'"):
        kernel(run, part="2")


def test_a_checkpoint_that_is_damaged(run):
    (run / "checkpoints" / "12.sha256").write_text(64 * "0")
    with pytest.raises(BadInput, match=r"row': checkpoint 12 must be undamaged"):
        kernel(run)


def test_a_run_that_has_not_come_so_far(run):
    for seal in (run / "checkpoints").glob("*.sha256"):
        seal.unlink()
    with pytest.raises(BadInput, match=r"row' must be a run with a finished checkpoint"):
        kernel(run)


def test_a_hash_is_of_a_file(run):
    with pytest.raises(BadInput, match=r"row' must be a file, not a folder"):
        kernel(run, sha256=64 * "0")


def test_another_trunk(run):
    with pytest.raises(BadInput, match=r"\(params/Dense_0/bias\) \[4\], here \[5\]"):
        Pretrained(str(run), RUN_CHECKPOINT).load(nets.MLP((5,)), SHAPE)
