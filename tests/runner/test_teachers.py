"""Self-training: rounds are runs, teachers label the pool, each task has its own."""

import pathlib

import jax
import numpy as np
import pytest

from mtl_jax import augment, consistency
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import dependency_order
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.overrides import apply_overrides
from mtl_jax.runner.run_selection import smoke_version, topological_order, with_seeds
from mtl_jax.runner.sweep import sweep
from mtl_jax.runner.teachers import class_balance_weights, outputs_of
from mtl_jax.storage.checkpoint import CheckpointManager
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import build_model
from tests.small import COLUMN, ROW, RUN

STUDENT = consistency.NoisyStudent(threshold=0.3)
ROWS = RUN.replace(name="rows", tasks=(ROW,), evaluation={"checkpoint_every": 8})
COLUMNS = RUN.replace(name="columns", tasks=(COLUMN,), evaluation={"checkpoint_every": 8})
BOTH = RUN.replace(
    name="student",
    tasks=(ROW.replace(auxiliary=STUDENT), COLUMN.replace(auxiliary=STUDENT)),
    augmentation={"strong": augment.Cutout(2)},
    labels={"teachers": (ROWS, COLUMNS)},
)
AGAIN = BOTH.replace(name="second round", labels={"teachers": (BOTH,)})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("rounds")
    experiment = Experiment(runs=(AGAIN,))
    assert sweep(experiment, experiment, pathlib.Path(root)) == 0
    return pathlib.Path(root)


@pytest.mark.slow
def test_every_round_is_trained_once_and_in_order(root):
    assert [run.name for run in dependency_order(AGAIN)] == [
        "rows",
        "columns",
        "student",
        "second round",
    ]
    assert [run.name for run in topological_order(Experiment(runs=(AGAIN, BOTH)))] == [
        "rows", "columns", "student", "second round",
    ]  # fmt: skip
    for run in dependency_order(AGAIN):
        assert RunDirectory(root, run).is_finished()


@pytest.mark.slow
def test_students_learn_what_teachers_said(root):
    """The stored outputs are the teacher's own, of every seed and image."""
    images = load_run_data(RUN).train.streams[""].inputs
    said = outputs_of(ROWS, RunDirectory(root, ROWS), "ema", "row", [images] * 2)
    assert said.shape == (2, 96, 3)
    tree = CheckpointManager(RunDirectory(root, ROWS).checkpoints, print).load(8)
    params, stats = jax.tree.map(lambda leaf: leaf[1], (tree["ema"], tree["batch_stats"]))
    wanted, _ = jax.jit(build_model(ROWS).apply, static_argnames="train")(
        params, stats, images[:7], train=False
    )
    np.testing.assert_allclose(said[1, :7], wanted.logits["row"], rtol=1e-4, atol=1e-5)
    raw = outputs_of(ROWS, RunDirectory(root, ROWS), "raw", "row", [images] * 2)
    assert not np.allclose(raw, said)


def test_without_a_threshold_that_is_reached_nothing_is_learnt(root):
    records = RunDirectory(root, BOTH).records()
    assert records[-1]["train"]["unlabelled_loss/row"][0] > 0
    assert 0 < records[-1]["train"]["mask_rate/row"][0] <= 1


def test_a_missing_teacher_is_named():
    with pytest.raises(BadInput, match=r"Run.labels.teachers must teach 'column' with 3 outputs"):
        BOTH.replace(labels={"teachers": (ROWS,)})
    with pytest.raises(BadInput, match=r"Run.labels.teachers must have this run's 2 seeds"):
        BOTH.replace(labels={"teachers": (ROWS.replace(num_seeds=1), COLUMNS)})


def test_a_lost_checkpoint_is_named(tmp_path):
    with pytest.raises(BadInput, match="missing or damaged; other runs learn from it"):
        outputs_of(
            ROWS,
            RunDirectory(tmp_path, ROWS),
            "ema",
            "row",
            [np.zeros((2, 6, 6, 1), np.float32)] * 2,
        )


def test_teachers_change_with_their_students():
    (student,) = apply_overrides((BOTH,), ["num_seeds=1", "trunk.features=(5,)"])
    assert [(t.num_seeds, t.trunk.features) for t in student.labels.teachers] == [
        (1, (5,)),
        (1, (5,)),
    ]
    assert [t.num_seeds for t in with_seeds(BOTH, 4).labels.teachers] == [4, 4]
    assert [t.steps for t in smoke_version(BOTH).labels.teachers] == [6, 6]


def test_classes_are_balanced_by_weights():
    """By hand: three of class 0, one of class 1; the two surest of each count as two."""
    logits = np.array([[3.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 0.5]], np.float32)
    np.testing.assert_array_equal(class_balance_weights(logits, 2), [1.0, 0.0, 1.0, 2.0])
    np.testing.assert_array_equal(class_balance_weights(logits, None), np.ones(4))
