"""The page as a file: no other file or address, names as text, a mark where a run overfits."""

import json
import re

import pytest

from mtl_jax.config.experiment import Experiment
from mtl_jax.html_report.environment import describe_environment
from mtl_jax.html_report.figure_images import CAPTIONS
from mtl_jax.html_report.learning_curves import MAX_TASKS, learning_curves, shorten
from mtl_jax.report import figures
from mtl_jax.storage.environment import devices
from tests.html_report.example import EXPERIMENT, LONG, SELECTED, records, write
from tests.small import ROW, RUN


@pytest.fixture
def text(finished, tmp_path):
    write(finished, tmp_path)
    return (tmp_path / "report.html").read_text("utf-8")


def test_the_page_needs_no_other_file(text):
    body = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", text, flags=re.DOTALL)
    addresses = re.findall(r"""(?:src|href)=["']([^"']*)""", body)
    assert addresses
    assert [each for each in addresses if not each.startswith(("#", "data:"))] == []
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, flags=re.DOTALL))
    assert styles
    assert not re.search(r"@import|url\((?!.?data:)", styles)
    assert len(text) < 3e6


def test_names_and_questions_are_text(text):
    assert "<b>a long" not in text
    assert "<script>alert" not in text
    assert "<strong>noise</strong>" in text
    assert "is not finite at step 3 &amp; after" in text


def test_sections_stand_below_the_table(text):
    heading = text.index("<h2>Transfer against scratch</h2>")
    assert text.index('id="results"') < heading < text.index("negative transfer (Wang") < len(text)


def test_curves_mark_where_a_run_overfits(text):
    assert "both overfits from step 20 on" in text
    assert "row alone overfits" not in text
    assert text.count("inverted_triangle") >= 1


def test_speed_is_shown_of_the_runs_that_stored_it(finished):
    old, new = (
        finished(RUN.replace(name=name), {"row": [0.5, 0.6], "column": [0.5, 0.6]})
        for name in ("old", "new")
    )
    timing = {"seconds": 61.7, "compile_seconds": 4.4, "examples_per_second": 12345.6}
    (new.path / "timing.json").write_text(json.dumps(timing))
    environment = describe_environment([old, new])
    assert environment.seconds == pytest.approx(12.6 + 61.7)
    assert environment.speeds == [("new", devices(), "62", "4", "12,346")]
    timing["examples_per_second"] = None
    (new.path / "timing.json").write_text(json.dumps(timing))
    assert describe_environment([new]).speeds[0].examples_per_second == "-"


def test_captions_are_of_figures_that_there_are(finished):
    folders = {
        run.name: finished(run, SELECTED[run.name], records=records(run)) for run in EXPERIMENT.runs
    }
    drawn = figures.draw(EXPERIMENT, folders)
    assert {*CAPTIONS} == {*drawn, "paths"} - {"curves"}


def test_many_tasks_have_curves_of_the_first(finished):
    tasks = tuple(ROW.replace(name=f"row {index}") for index in range(MAX_TASKS + 3))
    run = RUN.replace(name="many", tasks=tasks)
    folder = finished(run, {t.name: [0.5, 0.6] for t in tasks}, records=records(run))
    curves = learning_curves(Experiment(runs=(run,)), {"many": folder})
    assert (len(curves.tasks), curves.left_out) == (MAX_TASKS, 3)


def test_a_long_name_keeps_both_ends():
    assert shorten("short") == "short"
    assert len(shorten(LONG)) == 20
    assert shorten(LONG)[:4] + shorten(LONG)[-4:] == LONG[:4] + LONG[-4:]
