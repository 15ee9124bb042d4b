"""Samples of hidden labels: none that is trained on, none that is unknown, the same every time."""

import jax
import numpy as np
import pytest

from mtl_jax import aggregation, augment, consistency, data
from mtl_jax.losses import binary_cross_entropy
from mtl_jax.storage import hidden_labels
from mtl_jax.storage.hidden_labels import pseudo_labelled_by, sample_hidden_labels
from mtl_jax.storage.run_data import load_run_data
from tests.small import COLUMN, DATA, FIXMATCH, HEIGHT, ROW, UNLABELLED, part


def sampled(run):
    train = load_run_data(run).train
    return sample_hidden_labels(run, train), train.streams[""]


def test_all_that_is_not_trained_on():
    found, stream = sampled(UNLABELLED.replace(first_seed=4))
    assert list(found) == ["raw"] and list(found["raw"]) == [""]
    hidden = found["raw"][""]
    assert hidden.index.shape == (2, 96 - 24) and hidden.index.dtype == np.int32
    for seed in range(2):
        rest = np.setdiff1d(np.arange(96), stream.labelled.index[seed])
        np.testing.assert_array_equal(np.sort(hidden.index[seed]), rest)
    assert all(mask.all() for mask in hidden.mask.values())


def test_a_sample_of_each_seed_is_the_same_every_time(monkeypatch):
    monkeypatch.setattr(hidden_labels, "MAX_EXAMPLES", 10)
    found, again = (sampled(UNLABELLED)[0] for _ in range(2))
    assert found["raw"][""].index.shape == (2, 10)
    jax.tree.map(np.testing.assert_array_equal, found, again)
    alone = sampled(UNLABELLED.replace(first_seed=1, num_seeds=1))[0]["raw"][""]
    np.testing.assert_array_equal(alone.index[0], found["raw"][""].index[1])


def test_labels_that_partial_examples_hide_from_a_task():
    """Every example is labelled, each for one of its tasks: the other's label is hidden."""
    run = UNLABELLED.replace(labels={"num_labelled": 96, "partial": True})
    found, stream = sampled(run)
    hidden, labelled = found["raw"][""], stream.labelled
    for seed in range(2):
        for name in ("row", "column"):
            shown = set(labelled.index[seed][labelled.mask[name][seed]])
            own = set(hidden.index[seed][hidden.mask[name][seed]])
            assert own == set(range(96)) - shown and len(own) == 48


def test_unknown_labels_stay_unknown():
    known = part(96, 0)
    row = np.where(np.arange(96) < 60, known["row"], -1).astype(np.int32)
    source = data.Arrays(known | {"row": row}, part(40, 1), part(40, 2))
    run = UNLABELLED.replace(data=source, tasks=UNLABELLED.tasks[:1])
    found, stream = sampled(run)
    hidden = found["raw"][""]
    assert hidden.index.shape == (2, 60 - 24) and hidden.index.max() < 60
    assert hidden.mask["row"].all() and (stream.labels["row"][hidden.index] >= 0).all()
    # The labels that are known are all in use.
    assert sampled(run.replace(labels={"num_labelled": None}))[0] == {}


def test_labels_of_a_pool_and_of_separate_seeds():
    target = data.Arrays(*(part(30, seed) for seed in (3, 4, 5)))
    run = UNLABELLED.replace(data=data.Domains(sources=(DATA,), target=target, labelled="both"))
    hidden = sampled(run)[0]["raw"][""]
    assert hidden.mask["row"].any() and hidden.index.min() >= 96
    unseen = run.replace(data=data.Domains(sources=(DATA,), target=target))
    assert sampled(unseen)[0] == {}
    seeds = data.PerSeed(data.MultiDigits(train=60, validation=24, test=30))
    left = ROW.replace(name="left", num_outputs=10, auxiliary=FIXMATCH)
    run = UNLABELLED.replace(data=seeds, tasks=(left,), labels={"num_labelled": 20})
    found, stream = sampled(run)
    assert found["raw"][""].index.shape == (2, 40)
    for seed in range(2):
        assert not set(found["raw"][""].index[seed]) & set(stream.labelled.index[seed])


def test_held_out_labels_are_not_hidden():
    run = UNLABELLED.replace(balance=aggregation.AutoLambda(held_out=0.25))
    found, stream = sampled(run)
    hidden = found["raw"][""]
    assert hidden.index.shape == (2, 72)
    assert not set(hidden.index[0]) & set(stream.held_out.index[0])


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        (ROW, None),
        (ROW.replace(auxiliary=FIXMATCH), "raw"),
        (ROW.replace(auxiliary=consistency.MixMatch()), "raw"),
        (ROW.replace(auxiliary=consistency.MeanTeacher()), "ema"),
        (ROW.replace(num_outputs=1, loss=binary_cross_entropy), None),
        (HEIGHT.replace(auxiliary=consistency.MeanTeacherRegression()), None),
        (COLUMN.replace(auxiliary=consistency.SimMatch(target_model="teacher")), "ema"),
    ],
)
def test_the_parameters_that_pseudo_labels_come_from(task, kind):
    assert pseudo_labelled_by(task) == kind


def test_tasks_of_both_models_are_apart():
    run = UNLABELLED.replace(
        tasks=(UNLABELLED.tasks[0], COLUMN.replace(auxiliary=consistency.MeanTeacher())),
        augmentation={"weak": augment.Cutout(1)},
    )
    found = sampled(run)[0]
    names = {kind: list(by_stream[""].mask) for kind, by_stream in found.items()}
    assert names == {"raw": ["row"], "ema": ["column"]}
