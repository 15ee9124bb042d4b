"""Comparisons of two folders: SciPy's own functions on the values that the runs left."""

import csv
import io
import json

import numpy as np
import pytest
from scipy import stats

from mtl_jax.core.validation import BadInput
from mtl_jax.report.compare import compare
from mtl_jax.report.comparison_table import comparison_csv, comparison_markdown
from mtl_jax.report.stored_results import package_metrics, read_results
from tests.small import HEIGHT, ROW, RUN

BOTH = RUN.replace(name="both", tasks=(ROW, HEIGHT), num_seeds=6)
OTHER = RUN.replace(name="other, 2", num_seeds=6)
HEIGHT_ALONE = RUN.replace(name="height alone", tasks=(HEIGHT,))


def drawn(rng, run, mean=0.5):
    return {task.name: rng.normal(mean, 0.1, run.num_seeds) for task in run.tasks}


@pytest.fixture
def folders(finished, tmp_path):
    """Writes A and B; gives their paths, and the values by folder, row and task."""
    values, rng = {}, np.random.default_rng(0)
    for below, steps, mean in (("A", 8, 0.5), ("B", 9, 0.6)):
        for run in (BOTH.replace(steps=steps), OTHER):
            values[below, run.name] = drawn(rng, run, mean)
            finished(run, values[below, run.name], below=below)
    return tmp_path / "A", tmp_path / "B", values


def table(comparison):
    """Cells of the Markdown table by row and metric, and the text below it."""
    lines = comparison_markdown(comparison).splitlines()
    end = lines.index("")
    rows = [[cell.strip() for cell in line[2:-2].split(" | ")] for line in lines[:end]]
    head = rows[0][2:]
    cells = {(row, metric): dict(zip(head, rest, strict=True)) for row, metric, *rest in rows[2:]}
    return cells, "\n".join(lines[end:])


def paired(line, a, b, higher):
    """Compares a line with what SciPy says of values of the same seeds."""
    reference = stats.ttest_rel(b, a)
    interval = [
        line.difference.mean - line.difference.half_width,
        line.difference.mean + line.difference.half_width,
    ]
    np.testing.assert_allclose(interval, reference.confidence_interval(0.95), rtol=1e-6)
    np.testing.assert_allclose(line.difference.p_value, reference.pvalue, rtol=1e-6)
    bootstrap = stats.bootstrap((b - a,), np.mean, rng=np.random.default_rng(0))
    np.testing.assert_allclose(line.bootstrap[:2], bootstrap.confidence_interval, rtol=1e-6)
    assert line.bootstrap.method == "BCa"
    middle = [stats.trim_mean(values, 0.25) for values in (a, b)]
    np.testing.assert_allclose(line.interquartile_means, middle, rtol=1e-6)
    u = stats.mannwhitneyu(b, a).statistic / b.size**2
    np.testing.assert_allclose(line.probability, u if higher else 1.0 - u)


def test_every_line_is_scipys(folders):
    first, second, values = folders
    lines = {line.sample[:2]: line for line in compare(first, second).lines}
    assert [*lines] == [
        ("both", ("row", "accuracy")),
        ("both", ("height", "mse")),
        ("other, 2", ("row", "accuracy")),
        ("other, 2", ("column", "accuracy")),
    ]
    for (row, (task, metric)), line in lines.items():
        scale = 100.0 if metric == "accuracy" else 1.0
        a, b = (scale * values[below, row][task] for below in "AB")
        paired(line, a, b, higher=metric == "accuracy")
    p = [line.difference.p_value for line in lines.values()]
    order, factor = np.argsort(p), np.array([4, 3, 2, 1])
    by_hand = np.minimum(1.0, np.maximum.accumulate(factor * np.array(p)[order]))
    np.testing.assert_allclose([[*lines.values()][i].adjusted for i in order], by_hand)


def test_means_over_rows(folders):
    first, second, values = folders
    accuracy, relative = compare(first, second).means
    keys = [("both", "row"), ("other, 2", "row"), ("other, 2", "column")]
    a, b = (100.0 * np.stack([values[x, row][task] for row, task in keys]) for x in "AB")
    assert (accuracy.sample.row, accuracy.sample.key) == ("mean of 3", ("", "accuracy"))
    reference = stats.ttest_rel(b.mean(0), a.mean(0))
    np.testing.assert_allclose(accuracy.difference.mean, (b - a).mean())
    np.testing.assert_allclose(accuracy.difference.p_value, reference.pvalue)
    middle = [stats.trim_mean(values.ravel(), 0.25) for values in (a, b)]
    np.testing.assert_allclose(accuracy.interquartile_means, middle)
    u = [stats.mannwhitneyu(*pair).statistic / 36 for pair in zip(b, a, strict=True)]
    np.testing.assert_allclose(accuracy.probability, np.mean(u))
    # A lower error is better, so that its relative change has the other sign.
    height_a, height_b = (values[x, "both"]["height"] for x in "AB")
    drops = [*((a - b) / a), (height_b - height_a) / height_a]
    np.testing.assert_allclose(relative.difference.mean, 100.0 * np.mean(drops), rtol=1e-4)
    assert relative.sample.key == ("", "Δm %") and not relative.sample.facts.higher_is_better
    assert np.isnan(accuracy.adjusted) and np.isnan(relative.adjusted)


def test_baselines_of_zero_have_no_relative_change(finished, tmp_path):
    finished(BOTH, {"row": [0.0, *[0.5] * 5], "height": [1.0] * 6}, below="A")
    finished(BOTH, {"row": [0.5] * 6, "height": [2.0] * 6}, below="B")
    cells, _ = table(compare(tmp_path / "A", tmp_path / "B"))
    assert [row for row, _ in cells] == ["both", "both", "mean of 1"]
    assert cells["mean of 1", "Δm % ↓"]["B - A"] == "100.0 ± 0.0"
    finished(BOTH.replace(name="hard"), {"row": [0.0] * 6, "height": [0.0] * 6}, below="A")
    finished(BOTH.replace(name="hard"), {"row": [0.5] * 6, "height": [2.0] * 6}, below="B")
    cells, _ = table(compare(tmp_path / "A", tmp_path / "B"))
    assert cells["mean of 1", "Δm % ↓"]["B - A"] == "100.0 ± 0.0"


def test_other_seeds_are_unpaired(finished, tmp_path):
    rng = np.random.default_rng(0)
    a, b = (drawn(rng, RUN.replace(num_seeds=count)) for count in (6, 3))
    finished(RUN.replace(num_seeds=6), a, below="A")
    finished(RUN.replace(num_seeds=3, first_seed=1), b, below="B")
    comparison = compare(tmp_path / "A", tmp_path / "B")
    a, b = 100.0 * a["row"], 100.0 * b["row"]
    reference = stats.ttest_ind(b, a, equal_var=False)
    line = comparison.lines[0]
    np.testing.assert_allclose(line.difference.p_value, reference.pvalue)
    half_width = np.diff(reference.confidence_interval(0.95))[0] / 2.0
    np.testing.assert_allclose(line.difference.half_width, half_width)
    assert line.bootstrap.method == "percentile" and comparison.means == []
    cells, text = table(comparison)
    assert cells["hard", "row accuracy % ↑"]["seeds"] == "6, 3 unpaired"
    assert cells["hard", "row accuracy % ↑"]["settings"] == "first_seed, num_seeds"
    assert "- no means over rows: values are not finite, not of the same seeds, or 0 in A" in text


def test_as_many_other_seeds_are_unpaired_too(finished, tmp_path):
    finished(RUN, {"row": [0.1, 0.2], "column": [0.3, 0.4]}, below="A")
    finished(RUN.replace(first_seed=2), {"row": [0.2, 0.4], "column": [0.3, 0.4]}, below="B")
    line = compare(tmp_path / "A", tmp_path / "B").lines[0]
    reference = stats.ttest_ind([20.0, 40.0], [10.0, 20.0], equal_var=False)
    assert line.difference.p_value == pytest.approx(reference.pvalue)


def test_errors_in_units_have_only_a_relative_mean(finished, tmp_path):
    run = HEIGHT_ALONE.replace(name="more")
    for below, value in (("A", 4.0), ("B", 3.0)):
        finished(HEIGHT_ALONE, {"height": [value] * 2}, below=below)
        finished(run, {"height": [1.0, 1.0]}, below=below)
    (mean,) = compare(tmp_path / "A", tmp_path / "B").means
    assert mean.sample.key == ("", "Δm %") and mean.difference.mean == -12.5
    assert mean.probability == 0.75


def test_one_seed_has_no_interval(finished, tmp_path):
    run = RUN.replace(num_seeds=1)
    for below, value in (("A", 0.5), ("B", 0.75)):
        finished(run, {"row": [value], "column": [value]}, below=below)
    cells, text = table(compare(tmp_path / "A", tmp_path / "B"))
    assert [*cells["hard", "row accuracy % ↑"].values()] == [
        *("1", "50.0", "75.0", "25.0", "-"),  # Seeds, A, B, the difference and its bootstrap.
        *("50.0", "75.0", "1.00", "-", "-", "equal"),
    ]
    assert "no interval and no p of one seed" in text and "for the 0 comparisons" in text


def test_equal_values(finished, tmp_path):
    for below in "AB":
        finished(RUN, {"row": [0.5, 0.5], "column": [0.25, 0.75]}, below=below)
    cells, _ = table(compare(tmp_path / "A", tmp_path / "B"))
    for metric in ("row accuracy % ↑", "column accuracy % ↑"):
        found = cells["hard", metric]
        assert (found["B - A"], found["bootstrap"]) == ("0.0 ± 0.0", "[0.0, 0.0] percentile")
        assert (found["P(B better)"], found["p"], found["p, Holm"]) == ("0.50", "1.000", "1.000")
    assert cells["mean of 2", "accuracy % ↑"]["p"] == "1.000"


def test_what_is_not_finite_is_told_and_no_comparison(finished, tmp_path):
    finished(RUN, {"row": [0.5, 0.6], "column": [0.5, 0.6]}, below="A")
    finished(RUN, {"row": [0.5, np.nan], "column": [0.6, 0.8]}, below="B")
    cells, text = table(compare(tmp_path / "A", tmp_path / "B"))
    lost = cells["hard", "row accuracy % ↑"]
    assert [lost[name] for name in ("B - A", "bootstrap", "IQM B", "P(B better)", "p")] == ["-"] * 5
    assert "- hard: row accuracy is not finite in the seeds 1 of B" in text
    assert len(cells) == 2 and "- no means over rows: values are not finite" in text
    column = cells["hard", "column accuracy % ↑"]
    assert column["p"] == column["p, Holm"] and "for the 1 comparisons" in text


def test_what_one_folder_lacks_is_listed(finished, tmp_path):
    values = {"row": [0.5, 0.6], "column": [0.5, 0.6], "height": [0.1, 0.2]}
    finished(RUN, values, below="A")
    finished(RUN.replace(tasks=(ROW, HEIGHT)), values, below="B")
    finished(RUN.replace(name="a"), values, below="A")
    finished(RUN.replace(name="b, 2"), values, below="B")
    begun = finished(RUN.replace(name="a"), values, below="B")
    (begun.path / "result.json").unlink()
    old = finished(RUN.replace(name="c"), values, below="A")
    old.archive()
    (tmp_path / "A" / "stray").mkdir()
    (tmp_path / "A" / "stray" / "result.json").write_text(
        (old.path.with_name("hard") / "result.json").read_text()
    )
    cells, text = table(compare(tmp_path / "A", tmp_path / "B"))
    assert [*cells] == [("hard", "row accuracy % ↑")]
    assert cells["hard", "row accuracy % ↑"]["settings"] == "tasks"
    notes = [line for line in text.splitlines() if line.startswith("- ")]
    assert notes == [
        "- hard: only A has column accuracy",
        "- hard: only B has height mse",
        "- only A has the rows a (unfinished in the other)",
        "- only B has the rows b, 2",
    ]


def test_a_run_against_every_other_of_its_folder(finished, tmp_path):
    for name, value in (("hard", 0.5), ("a", 0.6), ("b", 0.7)):
        finished(RUN.replace(name=name), {"row": [value, 0.5], "column": [value, 0.5]})
    cells, text = table(compare(tmp_path / "a" / ".." / "hard", tmp_path))
    assert [row for row, _ in cells] == ["a", "a", "b", "b"], "no means, A would count many times"
    assert cells["b", "row accuracy % ↑"]["B - A"].startswith("10.0 ±")
    assert cells["b", "row accuracy % ↑"]["settings"] == "equal"
    assert f"A is the run {tmp_path / 'a' / '..' / 'hard'}, B is {tmp_path}." in text
    cells, _ = table(compare(tmp_path, tmp_path / "hard"))
    assert cells["b", "row accuracy % ↑"]["B - A"].startswith("-10.0 ±")
    cells, _ = table(compare(tmp_path / "a", tmp_path / "b"))
    assert [row for row, _ in cells] == ["b against a", "b against a", "mean of 2"]


def test_settings_code_and_data_are_told(folders):
    first, second, _ = folders
    path = second / "both" / "run.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps({**stored, "code": "0123", "data": "only B says"}))
    cells, _ = table(compare(first, second))
    assert cells["both", "height mse ↓"]["settings"] == "steps, other code"
    path.write_text(json.dumps({**stored, "fingerprint": "3-0123"}))
    cells, _ = table(compare(first, second))
    assert cells["both", "height mse ↓"]["settings"] == "another version"


def edit_result(folder, change):
    path = folder / "result.json"
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))


def test_older_results_do_not_describe_their_metrics(folders):
    first, second, _ = folders
    expected = comparison_markdown(compare(first, second))
    for row in (first / "both", second / "both"):
        edit_result(row, lambda stored: stored.pop("metrics"))
    assert comparison_markdown(compare(first, second)) == expected
    known = package_metrics()
    assert known["mse"] == (False, 1.0, False) and known["accuracy"] == (True, 100.0, True)


def test_metrics_are_known_without_the_extras(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    known = package_metrics()
    assert "accuracy" in known and not {"mAP", "wer", "cer"} & known.keys()


def test_metrics_that_mean_something_else_are_not_compared(folders):
    first, second, _ = folders
    facts = {"higher_is_better": True, "scale": 1.0, "unit_free": False}
    edit_result(second / "both", lambda stored: stored["metrics"]["height"].update(mse=facts))
    comparison = compare(first, second)
    assert "both: height mse has another scale or direction in B" in comparison.notes
    assert ("both", ("height", "mse")) not in [line.sample[:2] for line in comparison.lines]
    edit_result(first / "both", lambda stored: stored["metrics"].pop("height"))
    line = compare(first, second).lines[1]
    assert line.sample.key == ("height", "mse") and line.sample.facts == (True, 1.0, False)
    edit_result(second / "both", lambda stored: stored["metrics"].pop("height"))
    note = "both: neither result says whether height mse is better high or low"
    assert note in compare(first, second).notes


def test_csv_is_in_full_precision(folders):
    first, second, values = folders
    comparison = compare(first, second)
    rows = list(csv.DictReader(io.StringIO(comparison_csv(comparison))))
    assert [row["row"] for row in rows] == [
        *("both", "both", "other, 2", "other, 2", "mean of 3", "mean of 4"),
    ]
    a, b = (values[below, "both"]["height"] for below in "AB")
    assert (rows[1]["better"], rows[1]["test"]) == ("lower", "paired t")
    assert rows[1]["seeds_a"] == "0 1 2 3 4 5"
    assert float(rows[1]["difference"]) == pytest.approx((b - a).mean(), rel=1e-12)
    low, high = stats.ttest_rel(b, a).confidence_interval(0.95)
    assert float(rows[1]["t_low"]) == pytest.approx(low, rel=1e-9)
    assert float(rows[1]["t_high"]) == pytest.approx(high, rel=1e-9)
    assert rows[-1]["p_holm"] == "" and float(rows[1]["p_holm"]) <= 1.0


def test_refuses(finished, tmp_path):
    one = finished(RUN, {"row": [0.5, 0.6], "column": [0.5, 0.6]}, below="A").path.parent
    finished(RUN.replace(name="x"), {"row": [0.5, 0.6], "column": [0.5, 0.6]}, below="B")
    finished(HEIGHT_ALONE.replace(name="hard"), {"height": [0.5, 0.6]}, below="C")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for other, said in (
        ("none", "given folders of results, .*none does not exist"),
        ("file", "given folders of results, .*file is no folder"),
        ("empty", "empty has no finished run with test values by seed"),
        ("B/../A", "given two folders, .*A and .*A are the same"),
        ("B", "given rows of the same name: .*A has hard, .*B has x"),
        ("C", "rows with a metric in common: hard: only A has row accuracy, column accuracy, hard"),
    ):
        with pytest.raises(BadInput, match=f"^--compare must be .*{said}"):
            compare(one, tmp_path / other)
    (one / "hard" / "result.json").write_text("{")
    with pytest.raises(BadInput, match=r"result.json is damaged"):
        read_results(one)
    (one / "hard" / "result.json").write_text('{"selected": [], "schema": 1}')
    with pytest.raises(BadInput, match=r"result.json has schema 1"):
        read_results(one)
    (one / "hard" / "run.json").write_text('{"schema": 1}')
    (one / "hard" / "result.json").write_text('{"selected": [], "schema": 2}')
    with pytest.raises(BadInput, match=r"run.json has schema 1"):
        read_results(one)
    (one / "hard" / "result.json").write_text('{"schema": 2, "points": []}')  # A toy's.
    with pytest.raises(BadInput, match="no finished run with test values by seed"):
        read_results(one)
