"""The setting of Meta Pseudo Labels: what it refuses, alone and of a run."""

import dataclasses

import pytest

from mtl_jax import aggregation, consistency, losses, optimizers
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.core.step_extension import StepExtension
from mtl_jax.core.validation import BadInput
from tests.small import COLUMN, FIXMATCH, HEIGHT, ROW, RUN, UNLABELLED


class OwnOptimizer(StepExtension):
    """An extension with an optimizer of the trained model."""

    name = "own"
    optimizer = optimizers.Adam(0.1)


class NamedLikeOurs(StepExtension):
    """An extension with the name of one that a learnable policy adds."""

    name = "policy"


def binary(outputs, labels):
    return losses.cross_entropy(outputs, labels)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"augmentation": {"strong": None}},
            "Run.augmentation.strong is needed by the consistency of",
        ),
        (
            {"tasks": (ROW, COLUMN)},
            r"Run.extensions with MetaPseudoLabels needs auxiliary losses of .* not \['row', 'column'\]",
        ),
        (
            {
                "tasks": (
                    ROW.replace(auxiliary=FIXMATCH),
                    COLUMN.replace(auxiliary=consistency.VAT()),
                )
            },
            r"Run.extensions .* auxiliary losses of labelled and strong images .*, not \['column'\]",
        ),
        ({"tasks": (ROW.replace(auxiliary=consistency.ReMixMatch()),)}, r"not \['row'\]"),
        ({"tasks": (*UNLABELLED.tasks, HEIGHT)}, r"loss cross_entropy, not \['height'\]"),
        (
            {"tasks": (ROW.replace(loss=binary, auxiliary=FIXMATCH),)},
            r"Run.extensions .* needs tasks with the loss cross_entropy, not \['row'\]",
        ),
        (
            {"balance": aggregation.SDMGrad()},
            "Run.extensions with MetaPseudoLabels needs a balance that sees one batch",
        ),
        (
            {"balance": aggregation.AutoLambda()},
            "Run.extensions with MetaPseudoLabels needs a balance that sees one batch",
        ),
        (
            {"extensions": (MetaPseudoLabels(), MetaPseudoLabels(meta_weight=2.0))},
            r"Run.extensions must be of different kinds, not \['meta_teacher', 'meta_teacher'\]",
        ),
        (
            {"extensions": (MetaPseudoLabels(optimizer=optimizers.SGD(0.1)), OwnOptimizer())},
            r"Run.extensions must have at most one with an optimizer .* \['meta_teacher', 'own'\]",
        ),
        (
            {"extensions": (StepExtension(),)},
            r"Run.extensions must have names, other than 'policy' and 'post_step', not \[''\]",
        ),
        (
            {"extensions": (NamedLikeOurs(),)},
            r"Run.extensions must have names, other than .*, not \['policy'\]",
        ),
        (
            {"evaluation": {"measure_affinity": True}},
            "Run.evaluation.measure_affinity must be False with MetaPseudoLabels, not True",
        ),
    ],
)
def test_a_run_with_a_coach_refuses(changes, said):
    coached = UNLABELLED.replace(extensions=(MetaPseudoLabels(),))
    with pytest.raises(BadInput, match=said):
        coached.replace(**changes)


def test_what_a_run_takes():
    annealed = ROW.replace(auxiliary=consistency.UDA(schedule="linear"))
    setting = MetaPseudoLabels(baseline_momentum=None)
    run = RUN.replace(tasks=(annealed,), extensions=(setting,))
    assert run.extensions[0].baseline_momentum is None
    assert UNLABELLED.extensions == ()
    with pytest.raises(dataclasses.FrozenInstanceError):
        MetaPseudoLabels().meta_weight = 2.0
