"""Classes: which cells are none, which are codes, and what a reader is told of them."""

import io
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtl_jax.core.validation import DataWarning
from mtl_jax.data.files.class_names import look_alikes, warn_of_classes
from mtl_jax.data.files.columns import MISSING, Columns, Format, encode_categories, parse_numbers

# pandas 3.0, pandas.io.parsers.readers.STR_NA_VALUES
PANDAS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip


def column(*cells, **format):
    places = [("f.csv", f"line {at}") for at in range(2, len(cells) + 2)]
    return Columns({"x": list(cells)}, places, Format(**format))


def told(*cells, **format):
    """Texts of the warnings about a column."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warn_of_classes(object(), column(*cells, **format), ("x",))
    assert all(one.category is DataWarning for one in found)
    return [str(one.message).removeprefix("object: column 'x' of f.csv ") for one in found]


def test_what_is_missing_is_what_pandas_says():
    assert set(MISSING) == {*PANDAS, "?"}


@given(st.lists(st.sampled_from([*PANDAS, "a", "NAN", "none", "Nan", "-", "na"]), min_size=1))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_classes_are_those_of_pandas(cells):
    pandas = pytest.importorskip("pandas")
    cells = [*cells, "a"]
    text = "x,y\n" + "".join(f"{cell},1\n" for cell in cells)
    frame = pandas.read_csv(io.StringIO(text))["x"]
    places, classes = encode_categories(column(*cells), "x")
    np.testing.assert_array_equal(places < 0, frame.isna())
    assert [classes[at] for at in places if at >= 0] == list(frame.dropna())


@pytest.mark.parametrize("mark", [*PANDAS, "?", "NAN", "-NAN"])
def test_gaps_of_numbers(mark):
    np.testing.assert_array_equal(parse_numbers(column("1.5", mark), "x"), [1.5, np.nan])
    np.testing.assert_array_equal(encode_categories(column("2", mark, "1.0"), "x")[0], [1, -1, 0])
    assert encode_categories(column("2", mark), "x")[1] == (2,)


def test_marks_of_ones_own():
    own = {"missing": (*MISSING, "-9", "no data")}
    cells = ("-9", "-9.0", "1", "no data", "NA")
    np.testing.assert_array_equal(
        encode_categories(column(*cells, **own), "x")[0], [-1, -1, 0, -1, -1]
    )
    np.testing.assert_array_equal(
        parse_numbers(column(*cells, **own), "x"), [np.nan, np.nan, 1, np.nan, np.nan]
    )
    names = tuple(mark for mark in MISSING if mark != "NA")
    places, classes = encode_categories(column("NA", "DE", "None", missing=names), "x")
    assert places.tolist() == [1, 0, -1] and classes == ("DE", "NA")
    np.testing.assert_array_equal(parse_numbers(column("NA", "2", missing=names), "x"), [np.nan, 2])


def test_a_decimal_comma():
    np.testing.assert_array_equal(
        parse_numbers(column("1,5", "-,5", "2", decimal=","), "x"), [1.5, -0.5, 2]
    )
    assert encode_categories(column("3,0", "3", "1", decimal=","), "x")[1] == (1, 3)


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (("01", "1", "02", "2"), ("01", "02", "1", "2")),
        (("00", "10", "05"), ("00", "05", "10")),
        (("0", "10", "5"), (0, 5, 10)),
        (("0", "-0", "0.0", "+1"), (0, 1)),
        (("10000000000000000000", "10000000000000000001"), None),
        (("1000000000000000000", "5"), ("1000000000000000000", "5")),
        (("999999999999999999", "5"), (5, 999999999999999999)),
        (("1" + "0" * 40, "1" + "0" * 39 + "1"), None),
        (("1e3", "2e3"), None),
        (("12345", "1e5", "2E5"), None),
        (("Bob", "Inf", "Nan"), None),
    ],
)
def test_codes_are_names(cells, classes):
    places, found = encode_categories(column(*cells), "x")
    assert found == (tuple(cells) if classes is None else classes)  # by hand
    if len(found) == len(cells):
        assert [str(found[place]).lstrip("+") for place in places] == list(cells)


@pytest.mark.parametrize(
    ("cells", "texts"),
    [
        (("yes", "no", "", "?", "nan"), []),
        (("1", "2", "NAN", ""), []),
        (("+", "-", "+"), []),
        (("01", "02"), []),
        (
            ("yes", "no", "None", "None", "NA"),
            [
                "has 1 cells 'NA', which count as missing; if it is a class, give not_missing=('NA',)",
                "has 2 cells 'None', which count as missing; if it is a class, give not_missing=('None',)",
            ],
        ),
        (("yes", "no", "-"), ["has the class '-'; if it means missing, give missing=('-',)"]),
        (
            ("yes", "no", "NONE"),
            ["has the class 'NONE'; if it means missing, give missing=('NONE',)"],
        ),
        (("yes", "Yes", "no"), ["has the classes 'Yes', 'yes', which differ in writing only"]),
        (("01", "1", "2"), ["has the classes '01', '1', which differ in writing only"]),
        (("1e3", "2e3"), ["has classes such as '1e3', which are names here and no numbers"]),
        (("0", "?", "0"), ["has one class, 0: its other 1 cells are missing"]),
    ],
)
def test_what_is_told(cells, texts):
    assert told(*cells) == texts  # by hand


def test_marks_that_are_names_are_not_told():
    assert told("None", "a", missing=tuple(mark for mark in MISSING if mark != "None")) == []
    assert told(
        "-",
        "a",
        missing=(*MISSING, "-"),
    ) == ["has one class, 'a': its other 1 cells are missing"]


@pytest.mark.parametrize(
    "names",
    [
        ("cat", "Cat"),
        ("New York", "New\u00a0York"),
        ("New York", "New  York"),
        ("yes", "yes\u200b"),
        ("caf\u00e9", "cafe\u0301"),
        ("1", "001"),
        ("a b", "a\tb"),
        ("\uff41", "a"),
    ],
)
def test_look_alikes(names):
    assert look_alikes([*names, "other"]) == [list(names)]


@pytest.mark.parametrize(
    "names", [("1", "10"), ("0a", "a"), ("0", "1"), ("ab", "a b"), ("cafe", "café"), ("a", "b")]
)
def test_others_are_none(names):
    assert look_alikes(names) == []
