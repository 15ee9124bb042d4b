"""MultiInput: what each task gets, and what is refused."""

import dataclasses

import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.data import Input, MultiInput
from tests.small import DATA

BOTH = MultiInput((Input("rows", DATA, "row"), Input("columns", DATA, "column")))


def test_each_task_has_images_and_its_label_by_its_name():
    splits = BOTH.load()
    assert set(splits.test) == {"rows", "columns"}
    assert set(splits.test["rows"]) == {"inputs", "rows"}
    np.testing.assert_array_equal(splits.test["columns"]["columns"], DATA.test["column"])
    np.testing.assert_array_equal(splits.train["rows"]["inputs"], DATA.train["inputs"])


def test_shapes_are_those_of_the_training_part():
    for task, arrays in BOTH.load().train.items():
        told = BOTH.shapes()[task]
        assert {n: (a.shape, a.dtype) for n, a in arrays.items()} == {
            n: (a.shape, a.dtype) for n, a in told.items()
        }


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Input("inputs", DATA), 'Input.task must not be empty or "inputs"'),
        (lambda: Input("a", DATA, "inputs"), "Input.label must not be"),
        (lambda: MultiInput(()), "MultiInput.inputs must hold at least one"),
        (lambda: MultiInput((Input("a", DATA),)).shapes(), "source of 'a' has no 'label'"),
        (lambda: MultiInput((Input("a", BOTH, "rows"),)).load(), "source of 'a' has no 'inputs'"),
    ],
)
def test_what_does_not_fit_is_named(make, said):
    with pytest.raises(BadInput, match=said):
        make()


def test_it_is_data():
    same = MultiInput((Input("rows", DATA, "row"), Input("columns", DATA, "column")))
    assert same == BOTH and hash(same) == hash(BOTH)
    assert dataclasses.replace(BOTH, inputs=BOTH.inputs[::-1]) != BOTH
