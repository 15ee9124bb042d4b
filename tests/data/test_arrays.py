"""Arrays: every kind of input, equal by content, and refused where a part does not fit."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.fingerprint import fingerprint
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Arrays
from tests.data.shapes import check_shapes


def part(rows=3, fill=0.5, **changes):
    image = np.full((rows, 4, 4, 1), fill, np.float32)
    return {"inputs": image, "a": np.arange(rows), "depth": np.ones((rows, 4, 4))} | changes


def arrays(**changes):
    return Arrays(**({"train": part(5), "validation": part(), "test": part()} | changes))


def test_load_gives_the_arrays():
    splits = arrays(train=part(7)).load()
    assert splits.train.keys() == {"inputs", "a", "depth"}
    np.testing.assert_array_equal(splits.train["a"], np.arange(7))
    assert len(splits.test["inputs"]) == 3


def test_shapes_are_those_of_what_is_loaded():
    check_shapes(arrays())


def test_equal_by_content():
    one = arrays()
    assert one == arrays() and hash(one) == hash(arrays())
    assert fingerprint(one) == fingerprint(arrays())
    assert one != "something else"


@pytest.mark.parametrize(
    "other",
    [
        {"train": part(5, fill=0.25)},
        {"train": part(6)},
        {"test": part(a=np.array([0, 1, 0]))},
    ],
)
def test_different_by_content(other):
    assert arrays() != arrays(**other)
    assert fingerprint(arrays()) != fingerprint(arrays(**other))


def test_a_change_of_the_given_dict_does_not_reach_it():
    given = part()
    one = arrays(test=given)
    given["b"] = np.arange(3)
    assert one.load().test.keys() == {"inputs", "a", "depth"}


def test_is_frozen_and_prints_without_its_values():
    one = arrays()
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.test = part()
    assert repr(one).startswith("Arrays(train={'a': array(int64[5], ") and len(repr(one)) < 600


FAR = np.array([[-1e30, 0.0], [2.0, 3e38], [0.5, 0.5]], np.float32)
TOKENS = np.array([[2, 7, 0], [2, 30521, 3], [0, 0, 0]], np.int32)


def alone(image):
    one = {"inputs": image, "a": np.arange(3)}
    return Arrays(one, one, one)


@pytest.mark.parametrize(
    "image",
    [FAR, np.stack([FAR, -FAR], 1), TOKENS, np.full((3, 2, 2, 1), 255, np.uint8)],
    ids=["numbers", "signals", "tokens", "bytes"],
)
def test_other_inputs_are_taken_as_they_are(image):
    source = alone(image)
    check_shapes(source)
    assert source.load().test["inputs"].dtype == image.dtype
    np.testing.assert_array_equal(source.load().test["inputs"], image)


@pytest.mark.parametrize(
    ("image", "net"),
    [
        (FAR, nets.MLP((4,))),
        (FAR[..., None], nets.FCN((4,), (2,))),
        (TOKENS, nets.BERT(30_522, width=4, depth=1, heads=2, hidden=4, places=3)),
    ],
    ids=["MLP", "FCN", "BERT"],
)
def test_trunks_read_what_is_given(image, net):
    init = functools.partial(net.init_with_output, jax.random.key(0), train=True)
    features, _ = jax.eval_shape(init, alone(image).shapes()["inputs"])
    assert features.shape == (3, 4) and features.dtype == np.float32


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros(3, np.float32), r"must be \[N, H, W, C\], .* or tokens \[N, T\], not \[3\]"),
        (np.zeros((3, 0), np.float32), r"must not be empty, as \[3, 0\] is"),
        (
            np.zeros((3, 2)),
            r"must be numbers \[N, D\] of float32 or tokens .*, not float64 \[3, 2\]",
        ),
        (TOKENS.astype(np.int64), "must be .* tokens .* of int32, not int64"),
        (TOKENS - 1, "must hold tokens of at least 0, not -1"),
        (TOKENS[..., None], "must be signals .* of float32, not int32"),
        (np.where(FAR > 1, np.float32("inf"), FAR), r"must be finite, not in \[.*, inf\]"),
        (np.where(FAR > 1, np.float32("nan"), FAR), r"must be finite, not in \[nan, nan\]"),
        (np.full((3, 4, 4, 1), np.nan, np.float32), r"must lie in \[0, 1\], not in \[nan, nan\]"),
    ],
)
def test_bad_inputs_are_named(image, text):
    with pytest.raises(BadInput, match=r"Arrays\.train\[\"inputs\"\] " + text):
        alone(image)


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (3, 3, 8, 5), (3, 4, 9, 9), (3, 1, 5, 5)])
def test_images_with_their_channels_first_are_told_to_be_transposed(shape):
    for kind in (np.uint8, np.float32):
        with pytest.raises(BadInput, match=r"channels first: give images.transpose\(0, 2, 3, 1\)"):
            alone(np.zeros(shape, kind))
    alone(np.zeros(shape, np.uint8).transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    "shape", [(3, 3, 3, 3), (3, 1, 40, 3), (3, 4, 4, 8), (3, 2, 9, 9), (3, 3, 9, 1)]
)
def test_images_that_may_have_their_channels_last_are_taken(shape):
    assert alone(np.zeros(shape, np.uint8)).load().train["inputs"].shape == shape


@pytest.mark.parametrize("kind", [bool, np.uint8, np.uint16, np.uint32])
def test_labels_that_cannot_be_minus_one_become_integers_that_can(kind):
    one = part(a=np.array([0, 1, 1], kind))
    source = arrays(train=one, validation=one, test=one)
    check_shapes(source)
    for loaded in source.load():
        assert loaded["a"].dtype == np.int64 and loaded["a"].tolist() == [0, 1, 1]
    assert source.train["a"].dtype == kind  # By which it is known.


def test_the_largest_unsigned_integer_is_not_taken_for_a_missing_label():
    one = part(a=np.array([0, 1, 2**32 - 1], np.uint32))
    assert arrays(train=one, validation=one, test=one).load().train["a"].max() == 2**32 - 1


def test_parts_of_different_inputs_are_named():
    numbers, tokens = ({"inputs": image, "a": np.arange(3)} for image in (FAR, TOKENS))
    with pytest.raises(BadInput, match=r"be float32 \[N, 2\] as in train, not int32 \[N, 3\]"):
        Arrays(numbers, numbers, tokens)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"test": {"a": np.arange(3)}}, r"Arrays.test must have \"inputs\"; it has 'a'"),
        (
            {"test": part(inputs=np.zeros((3, 4, 4), np.uint8))},
            r"test\[\"inputs\"\] .* \[3, 4, 4\]",
        ),
        ({"train": part(0)}, r"Arrays.train\[\"inputs\"\] must not be empty"),
        ({"train": part(inputs=np.zeros((3, 4, 4, 1)))}, "uint8 or float32, not float64"),
        ({"train": part(fill=255.0)}, r"must lie in \[0, 1\], not in \[255.0, 255.0\]"),
        ({"train": part(fill=np.nan)}, r"must lie in \[0, 1\]"),
        ({"validation": part(a=np.arange(4))}, r"validation\['a'\] must have 3 rows, not shape"),
        ({"validation": part(a=np.array(1))}, r"validation\['a'\] must have 3 rows, not shape"),
        (
            {"test": part(a=np.array(["x", "y", "z"]))},
            r"test\['a'\] must hold numbers, not <U1; give .*unique",
        ),
        ({"test": part(b=np.arange(3))}, "Arrays.train must have 'b', as test has"),
        ({"train": part(b=np.arange(3))}, "Arrays.validation must have 'b', as train has"),
        ({"test": part(a=np.ones(3))}, r"test\['a'\] must be int64 \[N\] as in train"),
        ({"test": part(depth=np.ones((3, 2)))}, r"must be float64 \[N, 4, 4\] .*, not .*\[N, 2\]"),
    ],
)
def test_bad_arrays_are_named(changes, text):
    with pytest.raises(BadInput, match=text):
        arrays(**changes)


def tree(rows=3, dtype=np.float32):
    inputs = {"atoms": np.ones((rows, 4, 2), dtype), "mask": np.ones((rows, 4), np.float32)}
    return {"inputs": inputs, "a": np.arange(rows)}


def test_inputs_may_be_a_dict_of_arrays():
    source = Arrays(tree(4), tree(), tree())
    shapes = source.shapes()
    assert shapes["inputs"]["atoms"].shape == (4, 4, 2) and source.num_labelled() == 4
    assert source.load().test["inputs"]["mask"].shape == (3, 4)
    assert source == Arrays(tree(4), tree(), tree()) != Arrays(tree(4), tree(4), tree())
    assert hash(source) == hash(Arrays(tree(4), tree(), tree()))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"train": tree(dtype=np.float64)}, "'atoms' must be uint8, int32 or float32, not float64"),
        ({"train": tree(0)}, r"train\[\"inputs\"\] must be a dict of arrays that are not empty"),
        ({"train": {**tree(), "a": np.arange(2)}}, r"train\['a'\] must have 3 rows, not shape \[2\]"),
        ({"test": {"inputs": {"atoms": tree()["inputs"]["atoms"]}, "a": np.arange(3)}},
         "Arrays.test must have 'inputs/mask', as train has"),
    ],
)  # fmt: skip
def test_a_bad_dict_of_arrays_is_named(changes, text):
    with pytest.raises(BadInput, match=text):
        Arrays(**{"train": tree(), "validation": tree(), "test": tree(), **changes})
