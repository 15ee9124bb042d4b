"""Where a run starts from: what is refused before anything is read."""

import pytest

from mtl_jax import nets
from mtl_jax.config.init_checks import preprocessing_of, unwrap_trunk
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import IMAGENET, Preprocessing
from tests.small import RUN, UNLABELLED

SOURCE = RUN.replace(name="init_from")
TRUNK = RUN.trunk
BY = Preprocessing(6, (0.5,), (0.5,))


def test_what_a_trunk_is_laid_around():
    whole = nets.LoRA(nets.Preprocessed(TRUNK, BY), rank=2)
    assert unwrap_trunk(whole) == [whole, nets.Preprocessed(TRUNK, BY), TRUNK]
    assert preprocessing_of(whole) == [BY] and preprocessing_of(TRUNK) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"param_rules": ParamRule(".*")}, "param_rules must be a tuple of rules"),
        ({"param_rules": (ParamRule(".*", l2_sp=1.0),)}, "has l2_sp, which needs a source"),
        ({"initialization": {"init_from": "file.npz"}}, "init_from must be a run or weights"),
        (
            {"initialization": {"param_map": (("a", "b"),)}},
            "param_map says what comes from a source",
        ),
        (
            {"initialization": {"init_from": SOURCE, "param_map": ("a", "b")}},
            "param_map must be a tuple of pairs",
        ),
        (
            {"initialization": {"init_from": SOURCE, "param_map": (("(a)", r"\2"),)}},
            "param_map must be a tuple of pairs",
        ),
        (
            {"initialization": {"init_from": SOURCE, "new_params": "shared/.*"}},
            "new_params must be a tuple of regular",
        ),
        (
            {"initialization": {"init_from": SOURCE, "new_params": ("(",)}},
            "new_params must be a tuple of regular",
        ),
        (
            {"initialization": {"init_from": SOURCE.replace(trunk=nets.Preprocessed(TRUNK, BY))}},
            "must have seen images as",
        ),
        (
            {"initialization": {"init_from": SOURCE.replace(trunk=nets.LoRA(TRUNK, rank=2))}},
            "has parameters added",
        ),
    ],
)
def test_bad_starts_are_refused(changes, said):
    with pytest.raises(BadInput, match=said):
        RUN.replace(**changes)


def test_fitting_starts_are_not():
    lora = nets.LoRA(TRUNK, rank=2)
    assert (
        RUN.replace(
            initialization={"init_from": SOURCE.replace(trunk=lora)}, trunk=lora
        ).initialization.init_from.trunk
        == lora
    )
    seen = nets.Preprocessed(TRUNK, BY)
    assert (
        RUN.replace(
            initialization={"init_from": SOURCE.replace(trunk=seen)}, trunk=nets.LoRA(seen, rank=2)
        ).trunk.base_trunk
        == seen
    )
    assert IMAGENET != BY


def test_a_teacher_beside_the_net_has_no_anchor():
    with pytest.raises(BadInput, match="must have no l2_sp with MetaPseudoLabels, whose teacher"):
        UNLABELLED.replace(
            extensions=(MetaPseudoLabels(),),
            initialization={"init_from": SOURCE},
            param_rules=(ParamRule(".*", l2_sp=1.0),),
        )
