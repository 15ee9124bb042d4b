"""The table of a page, by hand: what stands out, what it is sorted by, the papers' numbers."""

import numpy as np
import pytest

from mtl_jax.config.experiment import Experiment
from mtl_jax.html_report.findings import findings
from mtl_jax.html_report.results import format_signed, results
from mtl_jax.report.scores import collect
from tests.html_report.example import EXPERIMENT, FAILURES, LONG, ROW_ALONE, SELECTED, records


@pytest.fixture
def rows(finished):
    folders = {
        run.name: finished(run, SELECTED[run.name], records=records(run)) for run in EXPERIMENT.runs
    }
    return collect(EXPERIMENT, folders)


def column(table, heading):
    place = table.head.index(heading)
    return {line[0].text: line[place] for line in table.body}


def test_cells_have_the_mean_verdict_and_paper(rows):
    table = results(EXPERIMENT, rows, FAILURES)
    cells = column(table, "row accuracy % ↑")
    mean = 100 * np.mean(SELECTED["both"]["row"])
    assert cells["both"].order == pytest.approx(mean)
    assert cells["both"].text == "91.0 ± 2.5"  # t_2(0.975) = 4.3027, sd 1.025.
    assert (cells["both"].best, cells["both"].verdict) == (True, "helped")
    assert cells["both"].paper == "91.5 (A 2018, Table 1), ours -0.483"
    assert (cells["row alone"].best, cells["row alone"].verdict) == (False, "")
    assert cells["column alone"].text == cells["column alone"].order == "-"
    cells = column(table, "column accuracy % ↑")
    assert (cells["both"].verdict, cells["both"].paper) == ("hurt", "70 (B), ours -9.00")
    assert [name for name, cell in cells.items() if cell.best] == [LONG]


def test_lower_is_better_where_it_is(rows):
    cells = column(results(EXPERIMENT, rows, {}), "Δm %")
    means = {name: cell.order for name, cell in cells.items() if isinstance(cell.order, float)}
    assert [name for name, cell in cells.items() if cell.best] == [min(means, key=means.get)]


def test_a_row_that_failed_comes_last(rows):
    table = results(EXPERIMENT, rows, FAILURES)
    assert [cell.text for cell in table.body[-1][:3]] == ["diverged", "failed", "-"]
    assert {len(line) for line in table.body} == {len(table.head)}


def test_details_are_hidden_at_first(rows):
    table = results(EXPERIMENT, rows, {})
    hidden = [table.head[place] for place in table.hidden]
    assert hidden == ["last", "parameters", "memory", "paper"]


def test_columns_without_a_number_are_hidden_at_first(rows):
    table = results(Experiment(runs=(ROW_ALONE,)), rows[:1], {})
    hidden = {table.head[place] for place in table.hidden}
    assert {"average", "Δm %", "rank"} <= hidden
    assert "row accuracy % ↑" not in hidden


@pytest.mark.parametrize(
    ("difference", "text"),
    [(0.4567, "+0.457"), (-12.34, "-12.3"), (0.0, "+0.0"), (123.4, "+123"), (-0.00123, "-0.00123")],
)
def test_differences_have_a_sign_and_three_digits(difference, text):
    assert format_signed(difference) == text


def test_findings_are_the_best_rows(rows):
    found = findings(EXPERIMENT, rows)
    assert (found.compared, found.helped, found.hurt) == (4, 1, 1)
    row, best, delta = (
        next(each for each in found.best if each.metric == name)
        for name in ("row accuracy % ↑", "column accuracy % ↑", "Δm %")
    )
    assert row[1:] == ("both", "91.0 ± 2.5", "71.0 ± 2.5", "20.02 ± 0.07", "helped")
    assert best[1:3] == (LONG, "81.3 ± 2.6")
    assert best.verdict == "no significant difference"
    assert delta.row == "both"
