"""Bad input: one line on stderr, exit code 2, nothing trained, nothing overwritten."""

import hashlib
import os
import pathlib
import subprocess
import sys

import pytest

import launch
from mtl_jax.core.schema import SCHEMA
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import train_programs
from mtl_jax.runner.folder_checks import check_folders
from mtl_jax.runner.launch import launch as run_launch
from mtl_jax.storage.files import lock_output_dir
from mtl_jax.storage.run_directory import RunDirectory
from tests.small import ROW, RUN

ROOT = pathlib.Path(__file__).parent.parent.parent
HEAD = """
from mtl_jax import consistency, losses, nets, optimizers
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.config.experiment import Experiment, Published
from tests.small import COLUMN, FIXMATCH, HEIGHT, ROW, RUN

SEMI = RUN.replace(name="semi", tasks=(ROW.replace(auxiliary=FIXMATCH),))
"""
FINE = "EXPERIMENT = Experiment(runs=(RUN, SEMI))"
HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
input()
"""


def contents(folder):
    """The hash of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def refused(tmp_path, capsys, monkeypatch):
    """Launches an experiment that must be refused; gives the one line on stderr."""

    def trained(compiled, *_):
        raise AssertionError(f"{compiled.run.name} was trained")

    monkeypatch.setattr(train_programs, "train_run", trained)

    def launched(body, *options, out=None):
        file = tmp_path / "bad.py"
        file.write_text(HEAD + body)
        out = out or tmp_path / "out"
        before = contents(out) if out.is_dir() else {}
        code = run_launch(launch.parse([str(file), "--out", str(out), *options]))
        written = capsys.readouterr()
        assert (code, written.out) == (2, "")
        assert written.err.startswith("error: ") and written.err.count("\n") == 1
        if out.is_dir():
            assert contents(out) | before == contents(out)
            new = contents(out).keys() - before.keys()
            assert all(name.startswith(".lock") for name in new)
        return written.err

    return launched


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "bad.py must end in EXPERIMENT = Experiment(...), it has None"),
        ("EXPERIMENT = (1, 2)", "must end in EXPERIMENT = Experiment(...), it has (1, 2)"),
        (
            "EXPERIMENT = Experiment(runs=(RUN, RUN))",
            "runs must have different names, not ['hard', 'hard']",
        ),
        (
            "EXPERIMENT = Experiment(runs=(RUN, SEMI.replace(initialization={'init_from': RUN.replace(steps=9)})))",
            "runs must have different names, not 'hard'",
        ),
        ("EXPERIMENT = Experiment(runs=())", "runs must hold at least one run"),
        (
            "EXPERIMENT = Experiment(runs=(RUN,), baselines=('hart',))",
            "baselines must name runs (did you mean hard?), not 'hart'",
        ),
        (
            "EXPERIMENT = Experiment(runs=(RUN,), published=(Published('x', 'row', 1.0, 'y'),))",
            "published must name runs (there is hard), not 'x'",
        ),
        ("RUN.replace(ste=9)", "Run.ste is no field (did you mean steps"),
        ("optimizers.SGD(-0.1)", "SGD.learning_rate must be at least 0.0, not -0.1"),
        (
            "import optax\noptimizers.Optax(optax.liion, learning_rate=1e-4)",
            "module 'optax' has no attribute 'liion'",
        ),
        (
            "import optax\noptimizers.Optax(optax.lion, learning_rat=1e-4)",
            "Optax.learning_rat is no argument of optax.lion (did you mean learning_rate?), not 0.0001",
        ),
        (
            "consistency.FixMatch(threshold=1.5)",
            "ConfidenceThreshold.threshold must lie between 0.0 and 1.0, not 1.5",
        ),
        ("nets.MLP((8, 0))", "MLP.features must be a tuple of integers of at least 1"),
        (
            "RUN.replace(augmentation={'strong': None}, tasks=SEMI.tasks)",
            "Run.augmentation.strong is needed by the consistency of ['row']",
        ),
        (
            "RUN.replace(name='a/b')",
            "Run.name must be a plain file name without * ? [ ], not 'a/b'",
        ),
        ("RUN.replace(name='a[b]')", "without * ? [ ], not 'a[b]'"),
        (
            "EXPERIMENT = Experiment(runs=(RUN.replace(labels={'num_labelled': 97}),))",
            "run 'hard': Run.labels.num_labelled must be at most 96, the training examples there are, not 97",
        ),
        (
            "EXPERIMENT = Experiment(runs=(RUN.replace(labels={'num_labelled': 2}),))",
            "must be at least 3, the classes of a task, not 2",
        ),
        (
            "EXPERIMENT = Experiment(runs=(RUN.replace(tasks=(ROW.replace(name='depth'),)),))",
            "task 'depth' has no label in the train data (labels there: column, height, row)",
        ),
        (
            "EXPERIMENT = Experiment(runs=(RUN.replace(tasks=(ROW.replace(num_outputs=2),)),))",
            "num_outputs=2, so classes must lie in 0..1 (-1 where missing), but the train data has cl",
        ),
        (
            "EXPERIMENT = Experiment(runs=(RUN.replace(param_rules=(ParamRule('shred/.*'), ParamRule('.*'))),))",
            "pattern 'shred/.*' matches no parameter",
        ),
        (
            "EXPERIMENT = Experiment(runs=(RUN.replace(param_rules=(ParamRule('('),)),))",
            "pattern must be a regular expression, got '('",
        ),
    ],
)
def test_a_wrong_file_is_refused(refused, body, said):
    assert said in refused(body)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "stepps=5"], "Run has no field 'stepps': did you mean steps"),
        (["--set", "optimizer.learning_rat=1"], "no field 'learning_rat': did you mean learning_"),
        (["--set", "balance.rate=1"], "Equal has no field 'rate': there is none"),
        (["--set", "steps=many"], "--set steps=many: steps must be int, not 'many'"),
        (["--set", "steps=2.5"], "steps must be int, not '2.5'"),
        (["--set", "labels.num_labelled=x"], "num_labelled must be None or int, not 'x'"),
        (["--set", "labels.partial=yes"], "partial must be bool, not 'yes'"),
        (["--set", "evaluation.ema_decay={[]:1}"], "ema_decay must be float"),
        (["--set", "tasks=(1, 2)"], "tasks must be set in the file"),
        (["--set", "initialization.new_params=(1,)"], "new_params must be tuple[str, ...]"),
        (["--set", "balance=MGDA"], "balance is Equal(); set one of its fields: it has none"),
        (["--set", "trunk=MLP"], "set one of its fields: trunk.features, trunk.batch_norm\n"),
        (["--set", "trunk.name=x"], "MLP has no field 'name'"),
        (["--set", "steps"], "--set takes FIELD=VALUE, not 'steps'"),
        (["--set", "=5"], "--set takes FIELD=VALUE, not '=5'"),
        (["--set", "optimizer.learning_rate=-1"], "learning_rate must be at least 0.0, not -1.0"),
        (["--set", "optimizer.learning_rate=1e999"], "must be a finite number, not inf"),
        (
            ["--set", "tasks.row.auxiliary.mask.threshold=1.5"],
            "threshold must lie between 0.0 and 1",
        ),
        (["--set", "tasks.roof.num_outputs=3"], "nothing here is called 'roof': did you mean row?"),
        (["--set", "first_seed=4294967295"], "must stay below 2^32"),
        (["--set", "name=one"], "runs must have different names, not 'one'"),
        (["--set", "labels.num_labelled=200", "--dry"], "must be at most 96"),
        (["--only", "soft"], "--only soft matches no run; there is hard, semi"),
        (["--seeds", "0"], "launch.seeds must be at least 1, not 0"),
        (["--seeds", "-2", "--list"], "launch.seeds must be at least 1, not -2"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_refused(refused, options, said):
    assert said in refused(FINE, *options)


def test_a_missing_file_is_refused(capsys, tmp_path):
    for path in (tmp_path / "none.py", tmp_path):
        assert run_launch(launch.parse([str(path)])) == 2
        assert capsys.readouterr().err == f"error: no experiment file {path}\n"
    text = tmp_path / "digits.txt"
    text.write_text(FINE)
    assert run_launch(launch.parse([str(text)])) == 2
    assert capsys.readouterr().err == f"error: {text} is no Python file\n"


def test_an_output_folder_that_is_a_file_is_refused(refused, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    assert "--out must be a folder" in refused(FINE, out=file)
    assert "--out must be a folder" in refused(FINE, out=file / "below")
    assert file.read_text() == "mine"


def test_an_output_folder_that_cannot_be_made_is_refused(refused):
    assert "--out must be writable" in refused(FINE, out=pathlib.Path("/proc/results"))


def test_an_output_folder_that_orbax_cannot_read_is_refused(refused, tmp_path):
    assert "--out must not hold * ? [ ]" in refused(FINE, out=tmp_path / "[b]")


def test_an_output_folder_in_use_is_refused(refused, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out / ".lock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with other:
        assert other.stdout.readline() == b"held\n"
        assert "in use by another launch" in refused(FINE)
        other.communicate(b"\n")
    with lock_output_dir(out):  # As this program itself holds it.
        assert "in use by another launch" in refused(FINE)


@pytest.fixture
def old(tmp_path):
    """A finished run of another length, in the folder of the run "hard"."""
    folder = RunDirectory(tmp_path / "out", RUN.replace(steps=7))
    folder.create()
    folder.write_result({"name": "hard"}, {"seconds": 1.0})
    return folder


def test_results_of_another_run_are_refused(refused, old):
    said = refused(FINE)
    assert "steps: 7 -> 8" in said and "batch_size" not in said
    assert "--fresh" in said
    assert old.result() == {"schema": SCHEMA, "name": "hard"}


def test_what_is_wrong_is_found_before_old_results_are_set_aside(refused, old):
    assert "must be at most 96" in refused(FINE, "--fresh", "--set", "labels.num_labelled=97")
    assert sorted(path.name for path in old.path.parent.iterdir()) == [".lock", ".locks", "hard"]


def test_files_of_somebody_else_are_refused(refused, tmp_path):
    mine = tmp_path / "out" / "hard"
    mine.mkdir(parents=True)
    (mine / "thesis.tex").write_text("mine")
    assert "is no folder of a run" in refused(FINE)


def test_half_a_file_of_a_kill_is_no_bar(tmp_path):
    folder = RunDirectory(tmp_path, RUN)
    folder.path.mkdir()
    (folder.path / "run.json.half").write_text("{")
    folder.check()
    folder.create()
    assert folder.read("run.json")["name"] == "hard"


def test_fresh_sets_old_results_aside_and_trains(old, tmp_path):
    before = contents(old.path)
    file = tmp_path / "good.py"
    file.write_text(HEAD + "EXPERIMENT = Experiment(runs=(RUN.replace(tasks=(ROW,), steps=2),))")
    out = old.path.parent
    assert run_launch(launch.parse([str(file), "--out", str(out), "--fresh"])) == 0
    assert contents(out / "hard.old") == before
    new = RunDirectory(out, RUN.replace(tasks=(ROW,), steps=2))
    new.check()
    assert [record["step"] for record in new.records()] == [2]
    assert len(new.result()["selected"]) == 2


def command(tmp_path, body, *options):
    """The outcome of the real command."""
    file = tmp_path / "file.py"
    file.write_text(HEAD + body)
    return subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), str(file), *options],
        check=False, cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip


def test_the_command_says_it_in_one_line(tmp_path):
    found = command(tmp_path, FINE, "--set", "steps=0")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == "error: --set steps=0: Run.steps must be at least 1, not 0\n"
    assert not (tmp_path / "results").exists()


def test_a_wrong_command_line_is_one_line(tmp_path):
    found = command(tmp_path, FINE, "--seeds", "x")
    assert found.returncode == 2
    assert found.stderr.startswith("error: argument --seeds: invalid int value: 'x'")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", ""], "argument --out: must not be empty"),
        (["--out", " "], "argument --out: must not be empty"),
        (["--only", ""], "argument --only: must not be empty"),
        (["--only", "hard", "--only", "semi"], "argument --only: is given twice"),
        (["--out", "a", "--out", "b"], "argument --out: is given twice"),
        (["--seeds", "1", "--seeds", "2"], "argument --seeds: is given twice"),
        (["--set", "steps=2", "--set", "steps=3"], "--set steps is given twice"),
        (["--profile", "0"], "argument --profile: must be an integer of at least 1, not '0'"),
        (["--profile", "2.5"], "argument --profile: must be an integer of at least 1, not '2.5'"),
        (["--profile", "2", "--profile", "3"], "argument --profile: is given twice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_would_be_lost_or_mean_all_is_refused(capsys, tmp_path, options, said):
    (tmp_path / "file.py").write_text(HEAD + FINE)
    try:
        code = run_launch(launch.parse([str(tmp_path / "file.py"), *options]))
    except SystemExit as ended:
        code = ended.code
    err = capsys.readouterr().err
    assert code == 2 and said in err and err.count("\n") == 1


def test_a_path_that_is_too_long_is_refused(refused, tmp_path):
    out = tmp_path
    while len(str(out)) < 3800:
        out = out / ("d" * 200)
    assert "fit into a folder's name and path" in refused(
        "EXPERIMENT = Experiment(runs=(RUN.replace(name='r' * 150),))", out=out
    )


def test_names_that_differ_in_case_alone_are_refused_where_it_does_not_count(
    refused, tmp_path, monkeypatch
):
    body = "EXPERIMENT = Experiment(runs=(RUN.replace(name='Hard'), RUN))"
    check_folders(tmp_path, ["Hard", "hard"])  # Here it counts.
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".LOCK").write_text("")  # As if it did not.
    said = "must differ in more than the case of letters on this file system, not ['Hard', 'hard']"
    with pytest.raises(BadInput, match="more than the case of letters"):
        check_folders(tmp_path / "out", ["é", "x", "e\u0301"])
    assert said in refused(body)


def test_a_fault_in_the_file_is_one_line_and_a_traceback_with_debug(tmp_path):
    body = "EXPERIMENT = Experiment(runs=(RUM,))"
    found = command(tmp_path, body)
    line = HEAD.count("\n") + 1
    said = (
        f"error: file.py, line {line}: NameError: name 'RUM' is not defined. Did you mean: 'RUN'?"
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith(said.split(". Did")[0]) and found.stderr.count("\n") == 1
    found = command(tmp_path, body, "--debug")
    assert found.returncode == 2
    assert "Traceback" in found.stderr and "NameError: name 'RUM'" in found.stderr


def test_no_rule_is_broken_by_what_is_fine(tmp_path, capsys):
    """The experiment that the options above were refused on is itself a good one."""
    file = tmp_path / "fine.py"
    file.write_text(HEAD + FINE)
    assert run_launch(launch.parse([str(file), "--list", "--out", str(tmp_path / "no")])) == 0
    assert capsys.readouterr().err == ""
    assert ROW in RUN.tasks and not (tmp_path / "no").exists()


def test_what_only_the_step_can_tell_is_told_before_anything_trains(tmp_path, capsys):
    """The second run's penalty needs a source: the first is not trained either."""
    file = tmp_path / "late.py"
    file.write_text(
        "from mtl_jax import transfer\n"
        "from mtl_jax.config.experiment import Experiment\n"
        "from tests.small import RUN\n"
        "HELD = RUN.replace(name='held', regularization={'penalties': (transfer.L2SP(0.1),)})\n"
        "EXPERIMENT = Experiment(runs=(RUN, HELD))\n"
    )
    assert run_launch(launch.parse([str(file), "--out", str(tmp_path / "out")])) == 2
    assert "L2SP needs initial values" in capsys.readouterr().err
    assert not (tmp_path / "out" / "hard").exists()
