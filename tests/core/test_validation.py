"""Checks: what is refused, and that the text names field, rule and value."""

import dataclasses
import math

import numpy as np
import pytest

from mtl_jax.core.validation import (
    BadInput,
    did_you_mean,
    few,
    range_text,
    require,
    require_int,
    require_name,
    require_number,
    require_widths,
    short_repr,
)


@dataclasses.dataclass(frozen=True)
class Setting:
    """A setting of one field."""

    field: object


def said(check, *args, **kwargs):
    with pytest.raises(BadInput) as wrong:
        check(*args, **kwargs)
    assert isinstance(wrong.value, ValueError)
    return str(wrong.value)


def test_require():
    require(True, Setting(1), "field", "must be odd", 1)
    assert said(require, False, Setting(2), "field", "must be odd", 2) == (
        "Setting.field must be odd, not 2"
    )
    assert said(require, False, "launch", "seeds", "must be odd", "a") == (
        "launch.seeds must be odd, not 'a'"
    )


@pytest.mark.parametrize("value", [0.0, 1, 0.5])
def test_numbers_between_the_ends_pass(value):
    require_number(Setting(value), field=(0.0, 1.0))


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (1.5, "must lie between 0.0 and 1.0, not 1.5"),
        (-1e-9, "must lie between 0.0 and 1.0, not -1e-09"),
        (math.nan, "must be a finite number, not nan"),
        (math.inf, "must be a finite number, not inf"),
        (True, "must be a finite number, not True"),
        ("1", "must be a finite number, not '1'"),
        (None, "must be a finite number, not None"),
        (np.ones(1), "must be a finite number"),
    ],
)
def test_other_numbers_are_refused(value, rule):
    assert f"Setting.field {rule}" in said(require_number, Setting(value), field=(0.0, 1.0))


def test_a_range_without_end():
    assert range_text(2.0, math.inf) == "must be at least 2.0"
    require_number(Setting(1e300), field=(2.0, math.inf))


@pytest.mark.parametrize(
    ("value", "rule"),
    [(0, "must be at least 1, not 0"), (1.0, "must be an integer, not 1.0"),
     (True, "must be an integer, not True"), ("3", "must be an integer, not '3'")],
)  # fmt: skip
def test_counts(value, rule):
    require_int(Setting(1), field=1)
    assert said(require_int, Setting(value), field=1) == f"Setting.field {rule}"


@pytest.mark.parametrize("value", [(), (8, 0), (8.0,), [8], 8, (True,), ("8",)])
def test_widths(value):
    require_widths(Setting((8, 1)), "field")
    assert "must be a tuple of integers" in said(require_widths, Setting(value), "field")


def test_near():
    assert did_you_mean("stpes", ["steps", "seeds", "ema"]) == "did you mean steps or seeds?"
    assert did_you_mean("xyz", ["steps", "ema"]) == "there is ema, steps"
    assert did_you_mean("xyz", []) == "there is none"


@dataclasses.dataclass(frozen=True)
class Named:
    """A setting with a name."""

    name: object


@pytest.mark.parametrize(
    "name", ["ünï 😀 中", "lr=0.1, 3 to 1", "a" * 200, "table", "console", "a.b", "old", "MGDA-UB"]
)
def test_names_of_folders_pass(name):
    require_name(Named(name))


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        (3, "plain file name"), (None, "plain file name"), ("a/b", "plain file name"),
        (".lock", "plain file name"), ("a\tb", "printable"), ("a\x7f", "printable"),
        ("a\u202eb", "printable"), ("a\u2028b", "printable"), ("\ud800", "printable"),
        ("a ", "no space at its ends"), (" a", "no space at its ends"), ("a.", "no dot at its end"),
        ("é" * 101, r"at most 200 bytes \(this has 202\)"), ("a" * 279, "this has 279"),
        ("con", "Windows keeps"), ("NUL.txt", "Windows keeps"), ("Lpt1", "Windows keeps"),
        ("table.md", "writes itself"), ("Table.CSV", "writes itself"), ("table.tex", "writes itse"),
        ("effects.csv", "writes itself"), ("curves.png", "writes itself"), ("a.old", "writes"),
        ("a.old.2", "writes itself"), ("run.half", "writes itself"), ("report.html", "writes itself"), ("curves.pdf", "writes itself"),
    ],
)  # fmt: skip
def test_names_that_no_folder_should_have_are_refused(name, rule):
    with pytest.raises(BadInput, match=rf"Named\.name must .*{rule}"):
        require_name(Named(name))


def test_a_value_is_shown_in_one_line_that_can_be_read():
    assert short_repr("a\nb") == "'a\\nb'"
    long = short_repr(np.zeros((200, 200)))
    assert "\n" not in long and len(short_repr("x" * 1000)) == 200


def test_few():
    assert few(["a", "b", "c"]) == "a, b, c"
    assert few(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert few([]) == ""
    assert did_you_mean("xyz", [f"layer{i:02}" for i in range(90)]).endswith("layer11 and 78 more")
