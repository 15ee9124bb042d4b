"""A model with another semi-supervised method on each of four tasks: it resumes and shards."""

import jax
import numpy as np
import pytest

from mtl_jax import augment, consistency, data, nets
from mtl_jax.consistency import AdaMatch, CoMatch, FlexMatch, MixMatch
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.checkpoint import CheckpointManager, digest, to_host
from mtl_jax.storage.run_data import load_run_data
from tests.small import ROW, RUN, part


def labelled(count, seed):
    """The small problem with four labels of three classes."""
    arrays = part(count, seed)
    row, column = arrays["row"], arrays["column"]
    return {**arrays, "sum": (row + column) % 3, "difference": (row - column) % 3}


pytestmark = pytest.mark.slow

METHODS = {
    "row": FlexMatch(threshold=0.4),
    "column": CoMatch(threshold=0.4, memory=32, align=consistency.QueueAlignment(4)),
    "sum": MixMatch(weight=1.0),
    "difference": AdaMatch(),
}
FOUR = RUN.replace(
    name="four methods",
    data=data.Arrays(labelled(96, 0), labelled(40, 1), labelled(40, 2)),
    tasks=tuple(ROW.replace(name=name, auxiliary=method) for name, method in METHODS.items()),
    trunk=nets.MLP((12,), batch_norm=True),
    augmentation={
        "weak": augment.RandomTranslate(1),
        "strong": augment.ctaugment_fixmatch(pixels=1),
    },
    labels={"partial": True},
    num_seeds=1,
    evaluation={"every": 2},
)


def begun(devices):
    """The program on some devices, its data, and its state before the first step."""
    prepared = load_run_data(FOUR)
    made = compile_run(FOUR, prepared.train, devices)
    return made, made.put_data(prepared.train), made.init(None)


@pytest.fixture(scope="module")
def straight():
    """State and metrics after four steps on one device."""
    made, given, state = begun(jax.devices()[:1])
    state, _ = made.train_steps(state, given, 2)
    return made.train_steps(state, given, 2)


def test_every_method_is_at_work(straight):
    state, metrics = straight
    assert set(state.aux_state) == set(METHODS)
    for name in METHODS:
        assert np.isfinite(metrics[f"loss/{name}"]).all()
    assert (np.asarray(state.extensions["policy"].weights) < 1.0).any(), "bins are learnt"
    assert (np.asarray(state.aux_state["row"].mask.label) >= 0).any(), "pseudo-labels are selected"
    assert np.asarray(state.aux_state["column"].memory.num_filled)[0] == 32


def test_it_resumes_bitwise(straight, tmp_path):
    made, given, state = begun(jax.devices()[:1])
    state, _ = made.train_steps(state, given, 2)
    checkpoints = CheckpointManager(tmp_path, print)
    checkpoints.save(2, state, {}, {})
    checkpoints.wait()
    made, given, fresh = begun(jax.devices()[:1])
    state, *_ = checkpoints.restore(fresh)
    state, _ = made.train_steps(state, given, 2)
    assert digest(to_host(state)) == digest(to_host(straight[0]))


def test_it_shards_over_four_devices(straight):
    made, given, state = begun(jax.devices()[:4])
    state, _ = made.train_steps(state, given, 2)
    state, metrics = made.train_steps(state, given, 2)
    leaf = jax.tree.leaves(state.params)[0]
    assert len(leaf.sharding.device_set) == 4
    one, other = (
        jax.tree.leaves((s._replace(key=jax.random.key_data(s.key)), m))
        for s, m in (straight, (state, metrics))
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
