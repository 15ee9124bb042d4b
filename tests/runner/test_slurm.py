"""Jobs of SLURM, by commands that stand for it: what is submitted, when it starts, what is told."""

import json
import os
import pathlib
import pickle
import signal

import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.runner import slurm
from mtl_jax.runner.slurm import Job, Resources
from mtl_jax.storage.run_directory import RunDirectory
from tests.runner.launching import launched
from tests.small import ROW, RUN

FILE = """
from mtl_jax.config.experiment import Experiment
from tests.runner.launching import launched
from tests.runner.test_slurm import OTHER, SOURCE, TARGET

EXPERIMENT = Experiment(runs=(TARGET, OTHER))
"""
SOURCE = RUN.replace(name="source", tasks=(ROW,), num_seeds=1, steps=2)
TARGET = SOURCE.replace(name="target", initialization={"init_from": SOURCE})
OTHER = SOURCE.replace(name="other's")
# It keeps a script under the id that it answers, or rejects it.
SBATCH = """#!/bin/sh
cd "$(dirname "$0")"
if [ -e rejects ]; then echo "sbatch: error: Invalid partition" >&2; exit 1; fi
id=$(($(ls *.script 2>/dev/null | wc -l) + 1))
cp "$1" $id.script
echo "$id PENDING" >> queue
echo "Submitted batch job $id"
"""
SQUEUE = '#!/bin/sh\ncat "$(dirname "$0")/queue" 2>/dev/null || true\n'
OPTIONS = "partition=a,b,cpus-per-task=4,time=1:30:00"


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A folder of commands that stand for SLURM; `queue` there has ids and states of jobs."""
    pytest.importorskip("submitit")
    folder = tmp_path / "commands"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("srun", "#!/bin/sh\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def launched_here(tmp_path):
    """Launches the experiment above with options."""
    file = tmp_path / "several.py"
    file.write_text(FILE)
    return lambda *options: launched(file, "--out", tmp_path / "out", *options)


def settings(commands: pathlib.Path, number: int) -> dict[str, str]:
    """The options of sbatch in a script."""
    lines = (commands / f"{number}.script").read_text().splitlines()
    pairs = [line.removeprefix("#SBATCH --").partition("=") for line in lines if "#SBATCH" in line]
    return {name: value.strip("'") for name, _, value in pairs}


def test_every_row_is_a_job_after_those_that_it_needs(commands, launched_here, tmp_path):
    said = "source: job 1\ntarget: job 2\nother's: job 3\n"
    assert launched_here("--slurm", OPTIONS) == (0, said, "")
    source, target, other, table = (settings(commands, number) for number in (1, 2, 3, 4))
    names = [each["job-name"] for each in (source, target, other, table)]
    assert names == ["source", "target", "other_s", "table"]
    needed = [each.get("dependency") for each in (source, target, other, table)]
    assert needed == [None, "afterok:1", None, "afterany:1:2:3"]
    for each in (source, target, other, table):
        assert (each["partition"], each["time"], each["cpus-per-task"]) == ("a,b", "90", "4")
        assert each["signal"] == "USR2@90" and "requeue" in each
        assert each["kill-on-invalid-dep"] == "yes"
    assert "srun" in (commands / "1.script").read_text()
    assert not (tmp_path / "out" / "source").exists()

    # Rows in the queue are not submitted again, and rows that ended without a result are.
    assert launched_here("--slurm", OPTIONS) == (0, said, "")
    assert not (commands / "5.script").exists()
    (commands / "queue").write_text("2 PENDING\n4 PENDING\n")
    assert launched_here("--slurm", OPTIONS)[1] == "source: job 5\ntarget: job 2\nother's: job 6\n"
    assert settings(commands, 7)["dependency"] == "afterany:2:5:6"
    code, _, stderr = launched_here("--slurm", OPTIONS, "--fresh")
    assert code == 2 and stderr.startswith("error: --fresh: ")


def test_the_status_has_rows_and_their_jobs(commands, launched_here, tmp_path):
    assert launched_here("--status")[1].count("not begun") == 3
    launched_here("--slurm", OPTIONS)
    (commands / "queue").write_text("2 PENDING\n3 RUNNING\n")
    folder = RunDirectory(tmp_path / "out", OTHER)
    folder.create()
    folder.write_failure("it diverged")  # And is tried again.
    code, stdout, stderr = launched_here("--status")
    assert (code, stderr) == (0, "")
    source, target, other = stdout.splitlines()
    log = tmp_path / "out" / ".slurm" / "1_0_log.err"
    assert source.split(maxsplit=3) == ["-", "not", "begun", f"source (job 1 is over: {log})"]
    assert target.split(maxsplit=3) == ["queued", "not", "begun", "target (job 2)"]
    assert other.startswith("running ") and other.endswith("other's (job 3)")
    (commands / "queue").write_text("")
    assert launched_here("--status")[1].splitlines()[2].startswith("failed ")


def test_the_answer_of_sbatch_is_told_and_nothing_is_stored(commands, launched_here, tmp_path):
    (commands / "rejects").touch()
    code, stdout, stderr = launched_here("--slurm", OPTIONS)
    assert (code, stdout) == (2, "")
    assert stderr == "error: 'source' is not submitted: sbatch: error: Invalid partition\n"
    assert not (tmp_path / "out" / ".slurm" / "jobs.json").exists()


def test_data_are_checked_before_anything_is_submitted(commands, launched_here):
    code, _, stderr = launched_here("--slurm", OPTIONS, "--set", "labels.num_labelled=97")
    assert code == 2 and "must be at most 96" in stderr
    assert not (commands / "1.script").exists()


def test_without_slurm_there_is_a_line(launched_here, monkeypatch):
    monkeypatch.setenv("PATH", "")
    code, _, stderr = launched_here("--slurm", OPTIONS)
    assert (code, stderr) == (2, "error: --slurm: SLURM is not there, no command sbatch\n")


def test_without_submitit_there_is_a_line(launched_here, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda command: command)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"submitit: pip install mtl_jax\[slurm\]"):
        slurm.require_slurm()


@pytest.mark.parametrize(
    ("text", "options", "minutes"),
    [
        ("time=90", {}, 90),
        ("partition=gpu, gpus=1,time=4:00:00", {"partition": "gpu", "gpus": "1"}, 240),
        ("time=2:30,gres=gpu:a100:2,exclude=n1,n2", {"gres": "gpu:a100:2", "exclude": "n1,n2"}, 3),
        ("time=1-2", {}, 26 * 60),
        ("time=1-2:03:04", {}, 26 * 60 + 4),
    ],
)
def test_options_of_sbatch(text, options, minutes):
    assert Resources.parse(text) == (options, (1, 1), minutes)


def test_tasks_of_a_job_train_together(commands, launched_here):
    launched_here("--slurm", f"{OPTIONS},nodes=2,ntasks-per-node=4", "--only", "other's")
    row, table = (settings(commands, number) for number in (1, 2))
    assert (row["nodes"], row["ntasks-per-node"]) == ("2", "4")
    assert (table["nodes"], table["ntasks-per-node"]) == ("1", "1")
    (pickled,) = commands.parent.glob("out/.slurm/1_submitted.pkl")
    assert pickle.loads(pickled.read_bytes()).function.options.distributed == "auto"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cpus=4,time=1", "--slurm cpus: is no option; did you mean gpus?"),
        ("gpus=1", "--slurm time: must be a limit of sbatch, such as 4:00:00, of at least 3 "),
        ("time=soon", "minutes, not 'soon'"),
        ("time=1:59", "minutes, not '1:59'"),
        ("time=1,time=2", "--slurm time: must have one value"),
        ("time=1,mem=", "--slurm mem: must have one value"),
        ("time=3,nodes=all", "--slurm nodes: must be an integer of at least 1, not 'all'"),
        ("time=3,ntasks-per-node=0", "--slurm ntasks-per-node: must be an integer of at least 1"),
        ("gpu", "--slurm gpu: is no option; did you mean gpus?"),
    ],
)
def test_options_that_are_refused(text, said):
    with pytest.raises(BadInput) as error:
        Resources.parse(text)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("code", "state", "puts_back", "exits"),
    [
        (0, "RUNNING", False, None),
        (1, "RUNNING", False, 1),
        (128 + signal.SIGUSR2, "RUNNING", True, None),
        (128 + signal.SIGTERM, "RUNNING", True, None),  # Preempted with a grace time.
        (128 + signal.SIGTERM, "COMPLETING", False, 143),  # Cancelled, or put back already.
    ],
)
def test_a_job_that_is_stopped_goes_back(code, state, puts_back, exits, monkeypatch):
    class Exited(BaseException):
        """As the process would."""

    def exit_process(code):
        raise Exited(code)

    def put_back(*_):
        raise Exited

    monkeypatch.setattr(slurm, "exit_process", exit_process)
    monkeypatch.setattr(slurm, "set_up_console", lambda: None)
    monkeypatch.setattr(slurm, "job_states", lambda: {"7": state})
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    before = signal.signal(signal.SIGUSR2, put_back)
    try:
        if code == 0:
            assert Job(lambda options: code, None)() is None
            return
        with pytest.raises(Exited) as found:
            Job(lambda options: code, None)()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert found.value.args == (() if puts_back else (exits,))


def test_a_job_that_starts_again_executes_the_same():
    pytest.importorskip("submitit")
    job = Job(launched, None)
    assert job.checkpoint().function is job


def test_job_ids_are_kept_by_row(commands, launched_here, tmp_path):
    launched_here("--slurm", OPTIONS, "--only", "other's")
    stored = json.loads((tmp_path / "out" / ".slurm" / "jobs.json").read_text())
    assert stored == {"jobs": {"other's": "1", "": "2"}}
