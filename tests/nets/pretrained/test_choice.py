"""Skipping, renaming and what is drawn afresh: order, and patterns that hit nothing."""

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained.select import select_tensors, without_new

TENSORS = {name: np.full(1, at) for at, name in enumerate(["module.a", "module.b", "c", "fc.w"])}


def test_the_first_pattern_that_matches_counts():
    """A rename that stands later does not see what an earlier one has made."""
    found = select_tensors(
        TENSORS, (r"fc\..*",), ((r"module\.a", "x"), (r"module\.(.*)", r"\1"), ("c", "a"))
    )
    assert {name: int(array[0]) for name, array in found.items()} == {"x": 0, "b": 1, "a": 2}


def test_a_pattern_matches_whole_names():
    for skip, rename in ((("fc",), ()), ((), (("module", "m"),))):
        with pytest.raises(BadInput, match=r"(skip 'fc'|rename 'module') must match a name"):
            select_tensors(TENSORS, skip, rename)


def test_skip_is_of_the_names_of_the_file_and_comes_first():
    found = select_tensors(TENSORS, ("module.a",), ((r"module\.(.*)", r"\1"),))
    assert found.keys() == {"b", "c", "fc.w"}


def test_two_tensors_of_one_name():
    with pytest.raises(BadInput, match="rename must give one name to one tensor, not c to more"):
        select_tensors(TENSORS, (), ((r"module\.a", "c"),))


def test_what_is_drawn_afresh_is_not_wanted():
    wanted = {"params/adapter0/kernel": (2,), "params/a": (3,)}
    assert without_new(wanted, ("params/adapter.*",)) == {"params/a": (3,)}
    with pytest.raises(
        BadInput, match=r"new_params 'params/adaptor.*' must match a name \(did you mean"
    ):
        without_new(wanted, ("params/adaptor.*",))
