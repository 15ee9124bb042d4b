"""Tensors against variables: the changes by hand, and one error for all that does not fit."""

import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.nets.pretrained import NameMap, NameRule
from mtl_jax.nets.pretrained.match import match_tensors
from mtl_jax.nets.pretrained.transpose import conv, linear


def halves(array):
    return {"left": array[:2], "right": array[2:]}


def largest(tensors, wanted):
    """A fit that cuts what is too long."""
    cut = {path: array[: wanted[path][0]] for path, array in tensors.items() if path in wanted}
    return tensors | cut


NAMES = NameMap(
    "a test",
    (
        NameRule(r"block(\d)\.w", r"params/part\1/kernel", linear),
        NameRule(r"block(\d)\.(\w+)", r"params/part\1/\2"),
        NameRule("fused", "params/own", halves),
        NameRule("count", None),
        NameRule("top", "head/kernel", linear),
        NameRule("top_bias", "head/bias"),
    ),
)
WANTED = {
    "params/part0/kernel": (3, 2),
    "params/part0/bias": (3,),
    "params/own/left": (2,),
    "params/own/right": (1,),
}
TENSORS = {
    "block0.w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "block0.bias": np.ones(3, np.float32),
    "fused": np.asarray([1.0, 2.0, 3.0], np.float32),
    "count": np.asarray(7),
    "top": np.ones((5, 2), np.float32),
    "top_bias": np.zeros(5, np.float32),
}


def match(changes=(), without=(), names=NAMES, **settings):
    tensors = {name: array for name, array in TENSORS.items() if name not in without}
    return match_tensors({**tensors, **dict(changes)}, names, WANTED, 2, **settings)


def text(**given):
    with pytest.raises(BadInput) as caught:
        match(**given)
    return str(caught.value)


def test_what_comes_out():
    found = match()
    assert found.keys() == {*WANTED, "head/kernel", "head/bias"}
    assert all(array.dtype == np.float32 for array in found.values())
    np.testing.assert_array_equal(found["params/part0/kernel"], [[0, 3], [1, 4], [2, 5]])  # by hand
    np.testing.assert_array_equal(found["params/own/left"], [1.0, 2.0])
    np.testing.assert_array_equal(found["params/own/right"], [3.0])
    assert found["params/part0/kernel"].flags.c_contiguous
    assert not any(
        np.shares_memory(array, found["params/part0/bias"]) for array in TENSORS.values()
    )


def test_a_kernel_turns_its_axes():
    """Of PyTorch's `[out, in, h, w]`."""
    kernel = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    turned = conv(kernel)
    assert turned.shape == (4, 5, 3, 2)
    assert turned[3, 1, 2, 0] == kernel[0, 2, 3, 1]


def test_a_single_error_tells_of_both_sides():
    """Neither what is missing nor what is too much stops the search for more."""
    said = text(
        without=("fused",),
        changes={
            "block0.w": np.ones((2, 4), np.float32),
            "block0.bias": np.ones(3, np.int32),
            "block1.w": np.ones((2, 4), np.float32),
            "unheard.of": np.ones((1, 2), np.float32),
            "top": np.full((5, 2), np.nan, np.float32),
        },
    )
    assert said == (
        "must hold each tensor of the trunk once, by the names of a test; "
        "missing: params/own/left [2], params/own/right [1]; "
        "extra: unheard.of [1, 2], block1.w (params/part1/kernel) [4, 2]; "
        "misshapen: block0.w (params/part0/kernel) [4, 2], here [3, 2]; "
        "not floats: block0.bias (params/part0/bias) int32; "
        "not finite: top (head/kernel)"
    )


def test_a_tensor_of_other_axes_is_misshapen_and_not_missing_too():
    said = text(changes={"block0.w": np.ones((2, 3, 1), np.float32)})
    assert said.endswith("; misshapen: block0.w [2, 3, 1], which cannot be params/part0/kernel")


def test_two_tensors_for_one_place():
    said = text(changes={"block0.kernel": np.ones((3, 2), np.float32)})
    assert said.endswith("; twice: block0.kernel and block0.w for params/part0/kernel")


@pytest.mark.parametrize("dtype", [np.float16, np.float64, jnp.bfloat16], ids=str)
def test_other_precision_only_when_told(dtype):
    changes = {"block0.bias": np.asarray([1.5, -2.0, 0.25], dtype)}
    said = text(changes=changes)
    name = np.dtype(dtype).name
    assert said.endswith(f"(cast=True rounds them): block0.bias (params/part0/bias) {name}")
    found = match(changes=changes, cast=True)["params/part0/bias"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [1.5, -2.0, 0.25])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_what_is_not_finite_in_float32(value):
    changes = {"block0.bias": np.asarray([value, 1.0, 1.0])}
    said = text(changes=changes, cast=True)
    assert said.endswith("; not finite: block0.bias (params/part0/bias)")


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, bool, np.complex64])
def test_whole_numbers_are_no_weights(dtype):
    said = text(changes={"block0.bias": np.ones(3, dtype)}, cast=True)
    assert said.endswith(f"; not floats: block0.bias (params/part0/bias) {np.dtype(dtype)}")


def test_the_classifier_has_any_size_unless_one_is_asked_for():
    assert match()["head/kernel"].shape == match(outputs=5)["head/kernel"].shape == (2, 5)
    assert "head/kernel" not in match(without=("top", "top_bias"), outputs=4)
    said = text(outputs=4)
    assert said.endswith(
        "; misshapen: top (head/kernel) [2, 5], here [2, 4], top_bias (head/bias) [5], here [4]"
    )
    assert text(without=("top_bias",)).endswith("; missing: head/bias [5]")
    assert "here [2, 5]" in text(changes={"top": np.ones((5, 3), np.float32)})


def test_a_fit_comes_between():
    names = NameMap(NAMES.name, NAMES.table, fit=largest)
    changes = {"block0.bias": np.arange(4, dtype=np.float32)}
    assert "misshapen" in text(changes=changes)
    np.testing.assert_array_equal(
        match(changes=changes, names=names)["params/part0/bias"], range(3)
    )


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (
            lambda: NameRule("(", "params/a"),
            r"NameRule.pattern must be a regular expression \(missing",
        ),
        (
            lambda: NameRule("a", "weights/a"),
            r"NameRule.path must be None or begin with one of .*params/",
        ),
        (lambda: NameMap("a", ()), r"NameMap.table must be a tuple of NameRules, not \(\)"),
        (lambda: NameMap("a", [NameRule("a", None)]), "NameMap.table must be a tuple of NameRules"),
    ],
    ids=["pattern", "path", "empty", "list"],
)
def test_bad_tables_are_refused(make, rule):
    with pytest.raises(BadInput, match=rule):
        make()
