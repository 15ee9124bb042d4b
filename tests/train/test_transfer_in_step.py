"""Trunks that are laid around a source's: what begins as it was, and what is trained."""

import jax
import numpy as np
import pytest

from mtl_jax import nets, optimizers, weighting
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Input, MultiInput
from mtl_jax.nets.pretrained import RUN_CHECKPOINT, Preprocessing, Pretrained, Weights
from mtl_jax.runner import train_loop, training
from mtl_jax.runner.compile_ahead import Compilation
from mtl_jax.runner.init_params import load_pretrained
from mtl_jax.runner.observers import Observers
from mtl_jax.runner.progress import ProgressDisplay
from mtl_jax.runner.signals import StopSignals
from mtl_jax.runner.trace import trace_run
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.transfer import finetuning
from tests.small import COLUMN, DATA, ROW, RUN
from tests.train.test_domains_in_step import ended

TRUNK = nets.MLP((12, 8), batch_norm=True)
SOURCE = RUN.replace(name="source", trunk=TRUNK, optimizer=optimizers.Adam(0.01))


@pytest.fixture(scope="module")
def source():
    """Parameters and statistics of a trained run."""
    state, _ = ended(SOURCE, 4)
    return jax.device_get((state.params, state.batch_stats))


@pytest.mark.slow
def test_lora_trains_what_was_added_and_nothing_else(source):
    run = SOURCE.replace(
        name="lora",
        trunk=nets.LoRA(TRUNK, rank=2),
        initialization={"init_from": SOURCE},
        param_rules=finetuning.adapters_only("added/.*"),
    )
    state, _ = ended(run, 3, source=source)
    shared = dict(state.params["shared"])
    added = shared.pop("added")
    jax.tree.map(np.testing.assert_array_equal, shared, source[0]["shared"])
    jax.tree.map(np.testing.assert_array_equal, state.batch_stats, source[1])
    assert np.abs(added["Dense_0"]["kernel"]["b"]).max() > 0
    heads = sum(leaf.size for leaf in jax.tree.leaves(state.params["tasks"]))
    moments = sum(leaf.size for leaf in jax.tree.leaves(state.opt_state) if leaf.ndim > 1)
    assert moments == 2 * (heads + sum(leaf.size for leaf in jax.tree.leaves(added)))


@pytest.mark.slow
def test_stoch_norm_takes_the_source_over_by_its_names(source):
    run = SOURCE.replace(
        name="stoch", trunk=nets.StochNorm(TRUNK), initialization={"init_from": SOURCE}
    )
    state, metrics = ended(run, 1, source=source)
    assert jax.tree.structure(state.params["shared"]) == jax.tree.structure(source[0]["shared"])
    assert np.isfinite(metrics["loss/row"]).all()


@pytest.mark.slow
def test_spot_tune_fills_both_copies_and_freezes_one(source):
    spot = nets.SpotTune(TRUNK, policy=nets.MLP((4,)))
    run = SOURCE.replace(
        name="spot",
        trunk=spot,
        initialization={
            "init_from": SOURCE,
            "param_map": nets.source_param_map(
                spot, jax.ShapeDtypeStruct((1, 6, 6, 1), np.float32)
            ),
            "new_params": ("shared/policy.*",),
        },
        param_rules=(ParamRule("shared/frozen_.*", frozen=True), ParamRule(".*")),
    )
    state, _ = ended(run, 2, source=source)
    old = source[0]["shared"]["Dense_1"]["kernel"]
    shared = state.params["shared"]
    np.testing.assert_array_equal(shared["frozen_block1"]["Dense_0"]["kernel"], old)
    moved = shared["tuned_block1"]["Dense_0"]["kernel"]
    assert 0 < np.abs(moved - old).max() < 0.1


def taken(task):
    """Carries the head of a task over."""
    return (rf"tasks/heads/{task}/(.*)", rf"tasks/heads/{task}/\1")


@pytest.mark.slow
def test_stages_with_the_source_rehearsed():
    few = Input("column", DATA, "column", labelled=9)
    both = SOURCE.replace(
        name="both",
        data=MultiInput((Input("row", DATA, "row"), few)),
        tasks=(ROW, COLUMN),
        labels={"num_labelled": None},
        balance=weighting.TaskSampling((96, 9), cap=48),
        initialization={"init_from": SOURCE.replace(tasks=(ROW,)), "param_map": (taken("row"),)},
    )
    first, _ = ended(both.initialization.init_from, 4)
    first = jax.device_get((first.params, first.batch_stats))
    state, metrics = ended(both, 6, source=first)
    heads, before = (tree["tasks"]["heads"] for tree in (state.params, first[0]))
    assert 0 < np.abs(heads["row"]["kernel"] - before["row"]["kernel"]).max() < 0.2, "it went on"
    shares = np.array([metrics["weight/row"], metrics["weight/column"]])
    np.testing.assert_allclose(shares.sum(0), 1.0, rtol=1e-6)
    one = both.replace(
        name="column alone",
        tasks=(COLUMN,),
        balance=weighting.Equal(),
        initialization={"init_from": both, "param_map": (taken("column"),)},
    )
    after, _ = ended(one, 1, source=jax.device_get((state.params, state.batch_stats)))
    assert set(after.params["tasks"]["heads"]) == {"column"}


def test_a_source_of_another_trunk_is_refused():
    with pytest.raises(BadInput, match="must have this run's trunk"):
        SOURCE.replace(trunk=nets.LoRA(nets.MLP((12,))), initialization={"init_from": SOURCE})


class File:
    """Weights as a file would give them."""

    def __init__(self, preprocessing):
        self.preprocessing = preprocessing

    def load(self, trunk, shape, *, dtype):
        assert trunk == TRUNK and shape == (6, 6, 1)
        return Weights({"a": np.ones(2)}, {}, None, self.preprocessing)


def test_weights_that_expect_other_images_want_a_trunk_that_makes_them():
    by = Preprocessing(6, (0.5,), (0.5,))
    right = SOURCE.replace(
        trunk=nets.LoRA(nets.Preprocessed(TRUNK, by)), initialization={"init_from": File(by)}
    )
    params, _ = load_pretrained(right)
    assert params["shared"]["a"].shape == (2, 2)
    with pytest.raises(BadInput, match=r"nets.Preprocessed\(trunk, Preprocessing\(size=6"):
        load_pretrained(SOURCE.replace(initialization={"init_from": File(by)}))


def test_preprocessed_is_the_trunk_on_other_images():
    by = Preprocessing(6, (0.5,), (0.25,))
    x = np.random.default_rng(0).random((3, 6, 6, 1), np.float32)
    variables = TRUNK.init(jax.random.key(0), x, train=False)
    got = nets.Preprocessed(TRUNK, by).apply(variables, x, train=False)
    want = TRUNK.apply(variables, (x - 0.5) / 0.25, train=False)
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_a_pretrained_source_is_data():
    run = SOURCE.replace(initialization={"init_from": Pretrained("weights/run", RUN_CHECKPOINT)})
    assert run.initialization.init_from.path == "weights/run" and run == SOURCE.replace(
        initialization={"init_from": run.initialization.init_from}
    )


class Changing(File):
    """A file that holds something else every time it is read."""

    def load(self, trunk, shape, *, dtype):
        self.preprocessing = None
        params, stats = trained_start()
        Changing.times += 1
        shifted = jax.tree.map(lambda leaf: leaf + Changing.times, params)
        return Weights(shifted, stats, None, None)

    times = 0


def trained_start():
    """Parameters and statistics of the trunk, as a file has them."""
    variables = TRUNK.init(jax.random.key(1), np.zeros((1, 6, 6, 1), np.float32), train=False)
    return jax.device_get((variables["params"], variables["batch_stats"]))


def test_a_run_does_not_go_on_with_other_weights_than_it_began_with(tmp_path, monkeypatch):
    run = SOURCE.replace(
        name="held",
        initialization={"init_from": Changing(None)},
        steps=4,
        evaluation={"checkpoint_every": 2},
    )

    class Stopping(training.CheckpointManager):
        def save(self, step, *args):
            super().save(step, *args)
            self.wait()
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "CheckpointManager", Stopping)
    made, *_ = trace_run(run, 2)
    folder = RunDirectory(tmp_path, RUN)
    folder.create()
    observers = Observers(ProgressDisplay(1))
    arguments = (made, {run.name: folder}, lambda: Compilation(0.0, None), observers, StopSignals())
    with pytest.raises(KeyboardInterrupt):
        train_loop.train_run(*arguments)
    with pytest.raises(BadInput, match="other weights than when this run began"):
        train_loop.train_run(*arguments)
