"""Labels as losses take them: converted once, or refused by run, task, part and what to give."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from mtl_jax import data, losses, metrics
from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput
from mtl_jax.data import Domains, Input, MultiInput
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.targets import to_target
from tests.small import ROW, RUN

CLASSES = ROW.replace(name="y")
BINARY = CLASSES.replace(num_outputs=1, loss=losses.binary_cross_entropy, metrics=(metrics.F1(),))
MANY = BINARY.replace(num_outputs=3)
NUMBER = CLASSES.replace(
    num_outputs=1, loss=losses.squared_error, metrics=(metrics.MeanSquaredError(),)
)
NUMBERS = NUMBER.replace(num_outputs=3)
Y = np.arange(12) % 3
X = np.zeros((12, 4), np.float32)
HOT = np.eye(3, dtype=int)[Y]
CLOCK = 1.7e9 + np.arange(12.0)


def run_on(task, *parts):
    """A run of one task whose three parts have these labels, the last for those not given."""
    parts = (*parts, *(parts[-1],) * (3 - len(parts)))
    arrays = ({"inputs": X[: len(y)], "y": y} for y in parts)
    return RUN.replace(
        name="r", data=data.Arrays(*arrays), tasks=(task,), labels={"num_labelled": None}
    )


@pytest.mark.parametrize(
    ("task", "given", "wanted"),
    [
        *((CLASSES, Y.astype(kind), Y.astype(np.int32))
          for kind in (np.int8, np.uint8, np.uint16, np.int64, np.uint64)),
        (CLASSES, np.where(Y == 0, -1, Y), np.where(Y == 0, -1, Y).astype(np.int32)),
        (CLASSES.replace(num_outputs=2), Y == 1, (Y == 1).astype(np.int32)),
        *((BINARY, (Y == 1).astype(kind), (Y == 1).astype(np.float32))
          for kind in (bool, np.uint8, np.int64, np.float16, np.float64)),
        (BINARY, Y - 1, np.array([np.nan, 0, 1] * 4, np.float32)),
        (BINARY, (Y == 1)[:, None], (Y == 1).astype(np.float32)),
        (BINARY, (Y == 1)[:, None].astype(float), (Y == 1).astype(np.float32)),
        (BINARY, Y / 4, (Y / 4).astype(np.float32)),
        (MANY, HOT, HOT.astype(np.float32)),
        (MANY, HOT == 1, HOT.astype(np.float32)),
        (MANY, np.where(HOT, 1, [[-1, 0, 0]]), np.where(HOT, 1, [[np.nan, 0, 0]])),
        (NUMBER, Y / 4, (Y / 4).astype(np.float32)),
        (NUMBER, (Y / 4)[:, None], (Y / 4).astype(np.float32)[:, None]),
        (NUMBERS, HOT / 4, (HOT / 4).astype(np.float32)),
        (NUMBER, np.where(Y == 0, np.nan, Y * 1e12), np.where(Y == 0, np.nan, Y * 1e12)),
        (NUMBER, 2.0e3 + Y, 2.0e3 + Y),
        (NUMBER, np.full(12, 1e9), np.full(12, 1e9)),
    ],

)  # fmt: skip
def test_labels_come_as_the_loss_takes_them(task, given, wanted):
    run = run_on(task, given)
    stream, told = load_run_data(run).train.streams[""], abstract_data(run).streams[""].labels["y"]
    found = stream.labels["y"]
    assert (found.shape, found.dtype) == (told.shape, told.dtype)
    assert found.dtype == (np.int32 if task.loss is losses.cross_entropy else np.float32)
    np.testing.assert_array_equal(found, wanted.astype(found.dtype))
    for part in load_run_data(run).splits.values():
        np.testing.assert_array_equal(part[""]["y"], found)


INTEGERS = r"give integers \[N\] from 0 to 2, -1 where one is missing"


@pytest.mark.parametrize(
    ("task", "labels", "text"),
    [
        (CLASSES, Y.astype(np.float32), f"float32: these are floats; {INTEGERS}"),
        (CLASSES, Y / 4, f"float64: these are floats; {INTEGERS}"),
        (CLASSES, HOT * 1.0, rf"\[N, 3\]: these are floats; {INTEGERS}, as labels.argmax\(1\)"),
        (CLASSES, HOT, rf"\[N, 3\]: these are one-hot .*; {INTEGERS}, as labels.argmax\(1\)"),
        (CLASSES, Y[:, None], rf"are a column \[N, 1\]; {INTEGERS}, as labels\[:, 0\]"),
        (CLASSES, np.stack([HOT] * 2, 1), rf"are \[N, 2, 3\]; {INTEGERS}"),
        (CLASSES, np.where(Y == 2, 255, Y).astype(np.uint8),
         "has class 255; if 255 means missing, write -1$"),
        (CLASSES, np.where(Y == 2, 255, Y), "has class 255; if 255 means missing, write -1$"),
        (CLASSES, np.where(Y == 2, -100, Y), "class -100; if -100 means missing, write -1$"),
        (CLASSES, Y + 1, "has class 3; they seem to begin at 1: give labels - 1$"),
        (CLASSES, Y * 2, "has class 4$"),
        (CLASSES, np.full(12, -1), "all of its labels in the train data are missing"),
        (CLASSES.replace(num_outputs=2), np.where(Y == 0, -1, 1), "-1 and 1, but -1 means missing; give 0"),
        (CLASSES, Y - 1, r"from -1 to 1, but -1 means missing; give labels \+ 1, or .*num_outputs=2"),
        (CLASSES.replace(num_outputs=2), np.where(Y == 0, -1, 0), r"from -1 to 0, .*; give labels \+ 1$"),
        (BINARY, np.where(Y == 0, -1, 1), "-1 and 1, but -1 means missing; give 0 and 1"),
        (BINARY, Y, r"have 2: these are classes; give floats in \[0, 1\], or 0 and 1"),
        (BINARY, (Y == 1) * 255, "have 255: these are classes.*; if 255 means missing, write -1"),
        (BINARY, np.where(Y == 0, -1.0, 1.0), r"in \[0, 1\] .*, not -1; give \(labels \+ 1\) / 2"),
        (BINARY, Y / 1.0, r"must lie in \[0, 1\] \(NaN where missing\), not 2$"),
        (BINARY, HOT, r"are \[N, 3\]; one output takes \[N\] of 0 and 1"),
        (MANY, Y, r"are \[N\]: these are classes; .* \[N, 3\] .*, or take the loss cross_entropy"),
        (MANY, HOT[:, :2], r"are \[N, 2\]: num_outputs=3 take \[N, 3\] of 0 and 1$"),
        (MANY, HOT * 2, "have 2: these are classes; give floats"),
        (MANY, HOT * 2.0 - 1, r"must lie in \[0, 1\] .*, not -1; give \(labels \+ 1\) / 2"),
        (MANY, HOT * 2 - 1, "labels are -1 and 1, but -1 means missing"),
        (MANY, HOT * np.nan, "all of its labels in the train data are missing"),
        (NUMBER, Y, "are int64: these are classes; give floats, as labels.astype"),
        (NUMBER, Y == 1, "these are classes; give floats"),
        (NUMBERS, HOT, "these are classes; give floats"),
        (NUMBER, HOT / 4, r"are \[N, 3\]; num_outputs=1 takes \[N\]"),
        (NUMBERS, Y / 4, r"are \[N\]; num_outputs=3 takes \[N, 3\]"),
        (NUMBER, np.where(Y == 0, np.inf, 1.0), "must be finite, not inf"),
        (NUMBER, np.where(Y == 0, -np.inf, np.nan), "must be finite, not -inf"),
        (NUMBER, Y * 1e20, "reach 2e.20, whose square is too large for float32"),
        (NUMBER, CLOCK, "which float32 does not keep apart; take their mean off"),
        (NUMBER, (CLOCK + 30.0 * np.arange(12)).astype(np.float32), "which float32 does not keep apart"),
        (NUMBERS, np.stack([Y / 4, CLOCK, Y / 4], 1), "which float32 does not keep apart"),
    ],

)  # fmt: skip
def test_what_is_no_target_is_named(task, labels, text):
    with pytest.raises(BadInput, match=f"run 'r': task 'y'.*{text}") as wrong:
        load_run_data(run_on(task, labels))
    assert "\n" not in str(wrong.value)


def test_shapes_alone_tell_what_is_no_target_before_data_is_read():
    for task, labels in ((CLASSES, Y / 4), (NUMBER, Y), (CLASSES, HOT), (MANY, Y)):
        with pytest.raises(BadInput, match="run 'r': task 'y': train labels"):
            abstract_data(run_on(task, labels))


@pytest.mark.parametrize("part", ["validation", "test"])
def test_other_parts_are_held_to_the_same(part):
    wrong = np.where(Y == 2, 2.0, Y)
    parts = (Y == 1.0, *((wrong if name == part else Y == 1.0) for name in ("validation", "test")))
    with pytest.raises(BadInput, match=rf"task 'y': {part} labels must lie in \[0, 1\]"):
        load_run_data(run_on(BINARY, *(np.asarray(p, float) for p in parts)))


def test_minus_one_in_one_part_alone_is_a_missing_label():
    few = np.where(Y == 0, -1, 1)
    stream = load_run_data(run_on(CLASSES.replace(num_outputs=2), few, Y % 2)).train.streams[""]
    assert stream.labelled.mask["y"].sum() == 2 * 8  # by hand: two seeds, eight of class 1.


class Own(DataSource):
    """A source of a user's own, of any arrays."""

    def __init__(self, *parts):
        self.splits = Splits(*parts)

    def shapes(self):
        """Shapes and types of the training part."""
        return self.splits.train

    def load(self):
        """The arrays."""
        return self.splits


SOURCES = {
    "Own": lambda part: Own(part, part, part),
    "MultiInput": lambda part: MultiInput((Input("y", Own(part, part, part), "y"),)),
    "Domains": lambda part: Domains(
        (data.Arrays(part, part, part),),
        data.Arrays(part, part, {**part, "inputs": part["inputs"] + np.float32(1)}),
    ),
}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    ("task", "labels", "text"),
    [
        (CLASSES, Y / 4, "these are floats; give integers"),
        (CLASSES, np.where(Y == 2, 255, Y).astype(np.uint8), "has class 255"),
        (NUMBER, Y, "these are classes; give floats"),
        (NUMBER, CLOCK, "float32 does not keep apart"),
        (BINARY, Y, "these are classes; give floats"),
    ],
)
def test_every_source_is_held_to_the_same(name, task, labels, text):
    source = SOURCES[name]({"inputs": X, "y": labels})
    with pytest.raises(BadInput, match=f"run 'r': task 'y'.*{text}"):
        load_run_data(
            RUN.replace(name="r", data=source, tasks=(task,), labels={"num_labelled": None})
        )


@pytest.mark.parametrize("name", SOURCES)
def test_unsigned_classes_are_taken_from_every_source(name):
    source = SOURCES[name]({"inputs": X, "y": Y.astype(np.uint8)})
    for labelled in (None, 7):
        run = RUN.replace(data=source, tasks=(CLASSES,), labels={"num_labelled": labelled})
        stream = next(iter(load_run_data(run).train.streams.values()))
        assert stream.labels["y"].dtype == np.int32
        assert stream.labelled.index.shape[1] == (labelled or 12)


@pytest.mark.parametrize("labels", [np.array(["a", "b", "c"])[Y], Y.astype(object)])
def test_words_are_told_how_they_become_classes(labels):
    source = Own(*({"inputs": X, "y": labels} for _ in range(3)))
    for told in (load_run_data, abstract_data):
        with pytest.raises(BadInput, match=r"task 'y': train labels must be numbers, not .*unique"):
            told(RUN.replace(data=source, tasks=(CLASSES,), labels={"num_labelled": None}))


def test_labels_of_another_number_of_rows_are_named():
    source = Own(*({"inputs": X, "y": Y[:9]} for _ in range(3)))
    with pytest.raises(BadInput, match=r"as many 'y' in the train part as inputs, not .*9"):
        load_run_data(RUN.replace(data=source, tasks=(CLASSES,), labels={"num_labelled": None}))


@hypothesis.settings(max_examples=80, deadline=None)
@hypothesis.given(
    labels=strategies.lists(strategies.integers(-3, 4), min_size=1, max_size=12),
    kind=strategies.sampled_from([np.int8, np.int64, np.float32, np.float64]),
    task=strategies.sampled_from([CLASSES, BINARY, NUMBER]),
)
def test_labels_that_are_taken_mean_what_they_say(labels, kind, task):
    """What comes out is equal to what went in, but for -1 among classes, which is missing."""
    given = np.array(labels, kind)
    try:
        found = to_target(RUN, task, "train", given)
    except BadInput as wrong:
        assert "\n" not in str(wrong)
        return
    missing = np.isnan(found) if found.dtype.kind == "f" else found < 0
    np.testing.assert_array_equal(missing, (given < 0) if kind in (np.int8, np.int64) else False)
    np.testing.assert_array_equal(found[~missing], given[~missing])
