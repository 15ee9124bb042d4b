"""Where a run starts from: what is refused before anything is read."""

import pytest

from mtl_jax import nets
from mtl_jax.config.init_checks import layers_of, preprocessing_of
from mtl_jax.config.meta_pseudo_labels import Coach
from mtl_jax.config.param_rules import Rule
from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import IMAGENET, Preprocessing
from tests.small import RUN, UNLABELLED

SOURCE = RUN.but(name="source")
TRUNK = RUN.trunk
BY = Preprocessing(6, (0.5,), (0.5,))


def test_what_a_trunk_is_laid_around():
    whole = nets.LoRA(nets.Preprocessed(TRUNK, BY), rank=2)
    assert layers_of(whole) == [whole, nets.Preprocessed(TRUNK, BY), TRUNK]
    assert preprocessing_of(whole) == [BY] and preprocessing_of(TRUNK) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"plan": Rule(".*")}, "plan must be a tuple of rules"),
        ({"plan": (Rule(".*", anchor=1.0),)}, "has an anchor, which needs a source"),
        ({"source": "file.npz"}, "source must be a run or weights"),
        ({"take": (("a", "b"),)}, "take says what comes from a source"),
        ({"source": SOURCE, "take": ("a", "b")}, "take must be a tuple of pairs"),
        ({"source": SOURCE, "take": (("(a)", r"\2"),)}, "take must be a tuple of pairs"),
        ({"source": SOURCE, "fresh": "shared/.*"}, "fresh must be a tuple of regular"),
        ({"source": SOURCE, "fresh": ("(",)}, "fresh must be a tuple of regular"),
        ({"source": SOURCE.but(trunk=nets.Preprocessed(TRUNK, BY))}, "must have seen images as"),
        ({"source": SOURCE.but(trunk=nets.LoRA(TRUNK, rank=2))}, "has parameters added"),
    ],
)
def test_bad_starts_are_refused(changes, said):
    with pytest.raises(BadInput, match=said):
        RUN.but(**changes)


def test_fitting_starts_are_not():
    lora = nets.LoRA(TRUNK, rank=2)
    assert RUN.but(source=SOURCE.but(trunk=lora), trunk=lora).source.trunk == lora
    seen = nets.Preprocessed(TRUNK, BY)
    assert (
        RUN.but(source=SOURCE.but(trunk=seen), trunk=nets.LoRA(seen, rank=2)).trunk.around == seen
    )
    assert IMAGENET != BY


def test_a_teacher_beside_the_net_has_no_anchor():
    with pytest.raises(BadInput, match="which a teacher that learns beside"):
        UNLABELLED.but(coach=Coach(), source=SOURCE, plan=(Rule(".*", anchor=1.0),))
