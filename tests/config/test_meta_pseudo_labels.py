"""The setting of Meta Pseudo Labels: what it refuses, alone and of a run."""

import dataclasses

import pytest

from mtl_jax import aggregation, consistency, losses
from mtl_jax.config.meta_pseudo_labels import Coach
from mtl_jax.core.validation import BadInput
from tests.small import COLUMN, FIXMATCH, HEIGHT, ROW, RUN, UNLABELLED


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"feedback": -1.0}, "Coach.feedback must be at least 0.0, not -1.0"),
        ({"feedback": float("nan")}, "Coach.feedback must be a finite number, not nan"),
        ({"feedback": None}, "Coach.feedback must be a finite number, not None"),
        ({"centre": 1.5}, r"Coach.centre must lie between 0.0 and 1.0, not 1.5"),
        ({"centre": True}, "Coach.centre must be a finite number, not True"),
        ({"optimizer": 0.1}, "Coach.optimizer must be SGD, Adam or None, not 0.1"),
    ],
    ids=str,
)
def test_a_coach_refuses(settings, said):
    with pytest.raises(BadInput, match=said):
        Coach(**settings)


def binary(outputs, labels):
    return losses.cross_entropy(outputs, labels)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strong": None}, "Run.strong is needed by the consistency of"),
        ({"tasks": (ROW, COLUMN)}, r"Run.coach needs methods that see .* not \['row', 'column'\]"),
        (
            {"tasks": (ROW.but(consistency=FIXMATCH), COLUMN.but(consistency=consistency.VAT()))},
            r"Run.coach needs methods that see labelled and strong images .*, not \['column'\]",
        ),
        ({"tasks": (ROW.but(consistency=consistency.ReMixMatch()),)}, r"not \['row'\]"),
        ({"tasks": (*UNLABELLED.tasks, HEIGHT)}, r"loss cross_entropy, not \['height'\]"),
        (
            {"tasks": (ROW.but(loss=binary, consistency=FIXMATCH),)},
            r"Run.coach needs tasks with the loss cross_entropy, not \['row'\]",
        ),
        ({"balance": aggregation.SDMGrad()}, "Run.coach needs a balance that sees one batch"),
        ({"balance": aggregation.AutoLambda()}, "Run.coach needs a balance that sees one batch"),
        ({"affinity": True}, "Run.affinity must be False with a coach, not True"),
    ],
)
def test_a_run_with_a_coach_refuses(changes, said):
    coached = UNLABELLED.but(coach=Coach())
    with pytest.raises(BadInput, match=said):
        coached.but(**changes)


def test_what_a_run_takes():
    annealed = ROW.but(consistency=consistency.UDA(schedule="linear"))
    assert RUN.but(tasks=(annealed,), coach=Coach(centre=None)).coach.centre is None
    assert UNLABELLED.coach is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        Coach().feedback = 2.0
