"""Launching toy runs: each once, its table and figure, and what the options do."""

import pytest

from tests.runner.launching import launched

FILE = """
from mtl_jax import weighting
from mtl_jax.config.toy import PublishedOutcome, ToyExperiment
from tests.train.test_toy import BOWLS

SHORT = BOWLS.replace(steps=30)
SAID = (PublishedOutcome("sum", "reaches it", "a paper"),)
EXPERIMENT = ToyExperiment(
    runs=(SHORT, SHORT.replace(name="uncertain", balance=weighting.Uncertainty())), published=SAID
)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An experiment file, the folder it was launched into, and what was said."""
    folder = tmp_path_factory.mktemp("toy")
    file = folder / "bowls.py"
    file.write_text(FILE)
    return file, folder / "out", launched(file, "--out", folder / "out")


def test_the_table_says_where_each_start_ended(made):
    _, out, (code, stdout, stderr) = made
    assert (code, stdout) == (0, "")
    assert [line.split(":")[0] for line in stderr.splitlines()] == ["sum", "uncertain"]
    head, _, first, second, *_ = (out / "table.md").read_text().splitlines()
    assert [cell.strip() for cell in head.split("|")[1:-1]] == [
        "run", "reached", "start 1", "start 2", "seconds", "paper",
    ]  # fmt: skip
    assert "2 of 2  | 0.5, 0.5: 0.50 ✓" in first and "reaches it (a paper)" in first
    assert "a paper" not in second
    assert {p.name for p in out.iterdir()} >= {"table.tex", "paths.png", "report.html"}
    page = (out / "report.html").read_text("utf-8")
    assert "reaches it (a paper)" in page and page.count("data:image/webp") == 1
    assert (out / "paths.png").stat().st_size > 5000


def test_a_second_start_descends_nothing(made):
    file, out, _ = made
    before = (out / "sum" / "result.json").stat().st_mtime_ns
    assert launched(file, "--out", out) == (0, "", "")
    assert (out / "sum" / "result.json").stat().st_mtime_ns == before


def test_trackers_do_not_apply(made, tmp_path):
    file, *_ = made
    code, _, stderr = launched(file, "--out", tmp_path / "none", "--track", "tensorboard")
    assert code == 2 and stderr.startswith("error: --track does not apply")


def test_list_dry_and_only(made, tmp_path):
    file, out, _ = made
    _, stdout, _ = launched(file, "--out", out, "--list")
    assert [line.split("  ")[1] for line in stdout.splitlines()] == ["done", "done"]
    code, stdout, _ = launched(file, "--out", tmp_path / "none", "--dry", "--only", "unc")
    assert code == 0 and " ".join(stdout.split()) == "uncertain 2 starts, 2 losses of 2"
    assert not (tmp_path / "none").exists()


def test_smoke_and_set(made, tmp_path):
    file, _, _ = made
    code, _, stderr = launched(file, "--out", tmp_path, "--smoke", "--only", "sum")
    assert code == 0 and stderr.startswith("sum: 6 steps from 2 starts")
    _, _, stderr = launched(file, "--out", tmp_path / "b", "--only", "sum", "--set", "steps=9")
    assert stderr.startswith("sum: 9 steps")


def test_what_the_command_line_changed_is_in_the_table(made, tmp_path):
    """Every row is of these settings, and a second part of them stands beside the first."""
    file, out, _ = made
    assert "Changed on the command line" not in (out / "table.md").read_text()
    options = ("--out", tmp_path, "--set", "steps=9", "--set", "optimizer.learning_rate=0.25")
    for name in ("sum", "unc"):
        assert launched(file, *options, "--only", name)[0] == 0
    rows = (tmp_path / "table.md").read_text()
    said = "Changed on the command line: optimizer: SGD(learning_rate=0."
    assert said in rows and "; steps: 30 -> 9." in rows and rows.count("2 starts") == 0
    assert [line.split("|")[1].strip() for line in rows.splitlines()[2:4]] == ["sum", "uncertain"]
    assert "steps: 30 -> 9" in (tmp_path / "table.tex").read_text()
    assert launched(file, *options) == (0, "", "")
    assert "was written by another run" in launched(file, "--out", tmp_path)[2]
    assert launched(file, "--out", tmp_path, "--list")[1].count("changed (was ") == 2
    code, _, _ = launched(file, "--out", tmp_path / "b", "--smoke")
    assert code == 0 and "steps: 30 -> 6" in (tmp_path / "b" / "table.md").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seeds", "3"], "--seeds does not apply: a toy run has starts"),
        (["--profile", "3"], "--profile does not apply: a toy run has no blocks"),
        (["--set", "step=9"], "ToyRun has no field 'step': did you mean steps or seed?"),
        (["--set", "steps=10"], "steps must be a multiple of num_records, 3, not 10"),
        (["--only", "soft"], "--only soft matches no run; there is sum, uncertain"),
        (["--set", "steps=60"], "was written by another run"),
    ],
)
def test_bad_options_are_one_line(made, options, said):
    file, out, _ = made
    code, stdout, stderr = launched(file, "--out", out, *options)
    assert (code, stdout) == (2, "") and said in stderr
    assert stderr.startswith("error: ") and stderr.count("\n") == 1


def test_a_toy_run_that_diverges_says_so(made, tmp_path):
    file, _, _ = made
    options = ("--only", "sum", "--set", "optimizer.learning_rate=1e30")
    code, _, stderr = launched(file, "--out", tmp_path, *options)
    assert (code, stderr) == (1, "error: run 'sum' diverged: a point is not finite\n")
    assert not (tmp_path / "sum" / "result.json").exists()


FAILS = """
from mtl_jax import optimizers
from mtl_jax.config.toy import ToyExperiment
from tests.train.test_toy import BOWLS

GOOD = BOWLS.replace(name="good", steps=9)
BAD = GOOD.replace(name="bad", optimizer=optimizers.SGD(1e30))
EXPERIMENT = ToyExperiment(runs=(GOOD, BAD))
"""


def test_a_run_that_failed_or_is_damaged_is_no_bar(tmp_path):
    file, out = tmp_path / "fails.py", tmp_path / "out"
    file.write_text(FAILS)
    assert launched(file, "--out", out)[0] == 1
    assert launched(file, "--out", out, "--only", "good") == (0, "", "")
    assert "- bad failed: run 'bad' diverged" in (out / "table.md").read_text()
    (out / "good" / "paths.json").unlink()
    code, _, stderr = launched(file, "--out", out)
    damaged, failed = stderr.splitlines()
    assert code == 1 and damaged.startswith(f"error: {out / 'good' / 'paths.json'} is damaged; ")
    assert failed.startswith("error: run 'bad' diverged")
