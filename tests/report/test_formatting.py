"""Numbers, verdicts and tables as text."""

import math

import numpy as np
import pytest

from mtl_jax.metrics.comparison import verdicts
from mtl_jax.report.formatting import (
    count_verdicts,
    escape_latex,
    format_interval,
    format_p_value,
    format_range,
    heading,
)
from tests.small import HEIGHT, ROW


def test_tally_counts_verdicts():
    assert count_verdicts(["helped", "open", "hurt", "hurt", "open"]) == "1, 2 of 5"
    gains = [
        np.array(g) for g in ([1.0, 1.0001], [1.0, -1.0], [-1.0, -1.0001], [-3.0, -3.0001], [2.0])
    ]
    assert count_verdicts(verdicts(gains)) == "1, 2 of 5"


def test_a_heading_names_the_metric_its_unit_and_its_direction():
    assert heading(ROW) == "row accuracy % ↑"
    assert heading(HEIGHT) == "height mse ↓"
    assert count_verdicts([]) == "0, 0 of 0"


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (9.96, 11.04, "[10.0, 11.0]"),
        (-0.04, 0.04, "[-0.04, 0.04]"),
        (-0.01, 3.0, "[0.0, 3.0]"),  # No minus before a zero.
        (0.5, 0.5, "[0.50, 0.50]"),
        (0.0, 0.0, "[0.0, 0.0]"),
    ],
)
def test_a_range_has_the_digits_of_its_half_width(low, high, text):
    assert format_range(low, high) == text


def test_p_values():
    assert [*map(format_p_value, (1.0, 0.0305, 0.001, 0.00099, 0.0))] == [
        *("1.000", "0.030", "0.001", "<0.001", "<0.001")
    ]


def test_latex_escapes_what_it_would_read():
    assert escape_latex(r"a_b ${x}^2 5% #1 ~ \n") == (
        r"a\_b \$\{x\}\textasciicircum 2 5\% \#1 \textasciitilde  \textbackslash n"
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (None, "-"),
        ([-0.0, -0.0], "0.0 ± 0.0"),
        ([-0.06], "-0.060"),
        ([math.nan], "nan"),
        ([1.0, math.nan], "nan"),
        ([99.96], "100.0"),
    ],
)
def test_a_cell(values, text):
    assert format_interval(None if values is None else np.array(values)) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([80.0, 84.0], "82.0 ± 25.4"),
        ([0.0125, 0.0127], "0.013 ± 0.001"),
        ([0.0131], "0.013"),
        ([82.44], "82.4"),
        ([0.0, 0.0], "0.0 ± 0.0"),
        ([0.62 - 0.54, 0.7 - 0.62], "0.1 ± 0.0"),  # They differ in the last bit.
    ],
)
def test_numbers_are_printed_to_the_digit_that_counts(values, text):
    assert format_interval(np.array(values)) == text
