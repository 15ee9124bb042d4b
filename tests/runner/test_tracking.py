"""Trackers are sent every record once, whatever is interrupted, and never stop a run."""

import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import matplotlib
import numpy as np
import pytest

import launch
from mtl_jax import trackers
from mtl_jax.config.experiment import Experiment
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import tracking, training
from tests.runner.launching import experiment_file, launched
from tests.small import RUN

FILE = """
from mtl_jax.config.experiment import Experiment
from tests.small import ROW, RUN

SHORT = RUN.replace(steps=8, evaluation={'every': 2, 'checkpoint_every': 4})
EXPERIMENT = Experiment(runs=(SHORT, SHORT.replace(name="row alone", tasks=(ROW,), num_seeds=1)))
"""
OWN = """
import json
from mtl_jax import trackers


class Lines(trackers.Tracker):
    def __init__(self, path):
        self.path = path

    def write(self, *content):
        with open(self.path, "a") as file:
            file.write(json.dumps(content) + "\\n")

    def start(self, run):
        self.write("start", run.name, run.step)

    def log(self, step, scalars):
        self.write("log", step, scalars)

    def log_figures(self, experiment, paths):
        self.write("figures", experiment.name, [path.name for path in paths])

    def close(self, finished):
        self.write("close", finished)

EXPERIMENT = Experiment(runs=EXPERIMENT.runs, trackers=(Lines({path!r}),))
"""


class Recorder(trackers.Tracker):
    """Keeps the calls, and raises in one of its methods."""

    def __init__(self, wrong=None, error=None):
        self.wrong, self.error, self.calls = wrong, error or OSError(28, "No space left"), []

    def note(self, name, *content):
        self.calls.append((name, *content))
        if name == self.wrong:
            raise self.error

    def start(self, run):
        self.note("start", run.name, run.step)

    def log(self, step, scalars):
        self.note("log", step, scalars["train/loss/row"])

    def log_summary(self, step, scalars):
        self.note("log_summary", step, scalars["test/row/accuracy"])

    def log_figures(self, experiment, paths):
        self.note("log_figures", experiment.name, len(paths))

    def close(self, finished):
        self.note("close", finished)


PIXEL = (  # A PNG file.
    pathlib.Path(matplotlib.__file__).parent / "mpl-data" / "images" / "home.png"
).read_bytes()
WHOLE = [
    ("start", "hard", 0),
    ("log", 4, 1.0),
    ("log", 8, 2.0),
    ("log_summary", 8, 0.5),
    ("close", True),
    ("log_figures", "digits", 1),
]


@pytest.fixture
def folder(finished):
    """The folder of a finished run with two records."""
    records = [{"step": step, "train": {"loss/row": [step / 4] * 2}} for step in (4, 8)]
    folder = finished(RUN, {"row": [0.25, 0.75], "column": [0.5, 0.5]}, records=records)
    (folder.path.parent / "curves.png").write_bytes(PIXEL)
    return folder


def send(folder, *own):
    """Sends what is missing, as the end of a launch does."""
    with tracking.Tracking(own, "digits") as all_trackers:
        all_trackers.log_finished([folder.run], folder.path.parent)


def test_a_finished_run_is_sent_once(folder):
    first, again = Recorder(), Recorder()
    send(folder, first)
    send(folder, again)
    assert first.calls == WHOLE and again.calls == []


def test_an_unfinished_run_is_not_sent_as_finished(folder):
    (folder.path / "result.json").unlink()
    (folder.path.parent / "curves.png").unlink()
    tracker = Recorder()
    send(folder, tracker)
    assert tracker.calls == []


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), SystemExit(1), KeyboardInterrupt()]
)
@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_a_tracker_that_fails_is_named_and_is_off(folder, capsys, at, error):
    name = WHOLE[at][0]
    wrong, fine = Recorder(name, error), trackers.TensorBoard()
    send(folder, wrong, fine)
    (line,) = capsys.readouterr().err.splitlines()
    where = "figures" if name == "log_figures" else "run 'hard'"
    assert line.startswith(f"warning: tracker Recorder, {where}: {type(error).__name__}")
    until = next(i for i, call in enumerate(WHOLE) if call[0] == name)
    assert wrong.calls == [*WHOLE[: until + 1], ("close", False)]
    assert read(folder.path, "train/loss/row") == [(4, 1.0), (8, 2.0)]


def test_the_next_launch_sends_the_rest(folder):
    send(folder, Recorder("log_summary"))
    later = Recorder()
    send(folder, later)
    assert later.calls == [("start", "hard", 8), *WHOLE[3:]]


def test_the_next_launch_sends_figures_that_failed(folder):
    for tracker in (Recorder("log_figures"), later := Recorder(), Recorder()):
        send(folder, tracker)
    assert later.calls == WHOLE[-1:] and tracker.calls == []


def test_a_damaged_note_is_a_failure_of_the_tracker(folder, capsys):
    (folder.path / "trackers.json").write_text("{")
    send(folder, Recorder())
    assert "tracker Recorder, run 'hard': JSONDecodeError" in capsys.readouterr().err


def test_a_slow_tracker_is_not_waited_for(folder, capsys, monkeypatch):
    monkeypatch.setattr(tracking, "MAX_WAIT", 0.05)
    answer = threading.Event()

    class Slow(Recorder):
        def log(self, step, scalars):
            answer.wait(5.0)

    slow = Slow()
    send(folder, slow)
    answer.set()
    assert capsys.readouterr().err.startswith("warning: tracker Slow, no answer within 0.05 s")


def read(path, tag):
    """Steps and values of a tag in a folder of TensorBoard."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(path), size_guidance={"scalars": 0}).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def records_of(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return experiment_file(tmp_path_factory, FILE)


@pytest.fixture(scope="module")
def out(file, tmp_path_factory):
    """The results of a launch with TensorBoard."""
    out = tmp_path_factory.mktemp("out")
    assert launched(file, "--out", out, "--track", "tensorboard")[0] == 0
    return out


def test_tensorboard_has_what_was_measured(out):
    records = records_of(out / "hard")
    assert [record["step"] for record in records] == [2, 4, 6, 8]
    for section, kind in (("validation", "raw"), ("validation_ema", "ema")):
        values = [record["validation"][kind]["column"]["accuracy"] for record in records]
        expected = [(2 * i, np.float32(np.mean(v))) for i, v in enumerate(values, 1)]
        assert read(out / "hard", f"{section}/column/accuracy") == expected
        for seed in (0, 1):
            expected = [(2 * i, np.float32(v[seed])) for i, v in enumerate(values, 1)]
            assert read(out / "hard", f"seed_{seed}/{section}/column/accuracy") == expected
    for tag in ("loss/row", "weight/row"):
        expected = [(r["step"], np.float32(np.mean(r["train"][tag]))) for r in records]
        assert read(out / "hard", f"train/{tag}") == expected
    selected = json.loads((out / "hard" / "result.json").read_text())["selected"]
    mean = np.mean([entry["test"]["row"]["accuracy"] for entry in selected])
    assert read(out / "hard", "test/row/accuracy") == [(8, np.float32(mean))]


def test_tensorboard_has_the_figures(out):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(out), size_guidance={"images": 0}).Reload()
    (image,) = events.Images("figures/curves")
    assert image.encoded_image_string == (out / "curves.png").read_bytes()


def test_a_second_launch_sends_nothing(file, out):
    before = sorted(out.rglob("events.out*"))
    assert launched(file, "--out", out, "--track", "tensorboard")[0] == 0
    assert sorted(out.rglob("events.out*")) == before and len(before) == 3


def test_a_tracker_in_the_file_is_sent_what_is_finished(out, tmp_path):
    """And it is no part of what a run is, or the launch would refuse the results."""
    path = tmp_path / "lines.jsonl"
    own = tmp_path / "tiny.py"
    own.write_text(FILE + OWN.replace("{path!r}", repr(str(path))))
    assert launched(own, "--out", out)[0] == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kinds = ["start", *["log"] * 5, "close"]  # The summary is a log by default.
    assert [line[0] for line in lines] == [*kinds, *kinds, "figures"]
    losses = [line[2]["train/loss/row"] for line in lines[1:5]]
    assert losses == [np.mean(r["train"]["loss/row"]) for r in records_of(out / "hard")]
    assert lines[-1][1] == "tiny" and "curves.png" in lines[-1][2]


def test_nothing_is_written_unless_asked_for(file, out, tmp_path):
    assert launched(file, "--out", tmp_path, "--only", "row alone")[0] == 0
    names = {path.name.partition(".out")[0] for path in tmp_path.rglob("*")}
    assert not names & {"trackers.json", "events", "wandb", "mlflow.db"}
    same = "row alone/metrics.jsonl"
    assert (tmp_path / same).read_bytes() == (out / same).read_bytes()


def test_nothing_is_imported_unless_asked_for():
    code = (
        "import sys, mtl_jax.trackers, mtl_jax.runner.sweep;"
        "mtl_jax.trackers.TensorBoard();"
        "print(sorted({'tensorboardX', 'wandb', 'mlflow'} & {*sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_an_interrupted_run_continues_its_log(file, out, tmp_path, monkeypatch):
    """It ends after the evaluation of step 6, and resumes from the checkpoint of step 4."""
    evaluate = training.Training.evaluate

    def evaluate_and_end(self, step):
        self.checkpoints.wait()
        if step == 8:
            raise KeyboardInterrupt
        evaluate(self, step)

    options = ("--out", tmp_path, "--track", "tensorboard", "--only", "hard")
    monkeypatch.setattr(training.Training, "evaluate", evaluate_and_end)
    with pytest.raises(KeyboardInterrupt):
        launched(file, *options)
    tag = "train/loss/row"
    assert [step for step, _ in read(tmp_path / "hard", tag)] == [2, 4, 6]
    monkeypatch.undo()
    assert launched(file, *options)[0] == 0
    assert len([*(tmp_path / "hard").glob("events.out*")]) == 2
    assert read(tmp_path / "hard", tag) == read(out / "hard", tag)
    assert [step for step, _ in read(tmp_path / "hard", tag)] == [2, 4, 6, 8]


@pytest.mark.slow
def test_a_killed_run_continues_its_log(tmp_path):
    file = tmp_path / "long.py"
    file.write_text(FILE.replace("steps=8", "steps=400").replace("'every': 2", "'every': 10"))
    root = pathlib.Path(launch.__file__).parent
    command = [sys.executable, str(root / "launch.py"), str(file), "--out", str(tmp_path / "out")]
    command += ["--track", "tensorboard", "--only", "hard"]
    environment = {**os.environ, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"}
    metrics = tmp_path / "out" / "hard" / "metrics.jsonl"
    for lines in (5, 20):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (
            metrics.exists() and metrics.read_text().count("\n") >= lines
        ):
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    subprocess.run(command, env=environment, check=True, capture_output=True)
    records = records_of(metrics.parent)
    expected = [(r["step"], np.float32(np.mean(r["train"]["loss/row"]))) for r in records]
    assert read(metrics.parent, "train/loss/row") == expected and len(expected) == 40
    assert len([*metrics.parent.glob("events.out*")]) == 3


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_is_bad_input_before_training(file, tmp_path, monkeypatch, name):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda each, *_: None if each == name else find(each)
    )
    code, _, err = launched(file, "--out", tmp_path / "out", "--track", name)
    assert code == 2 and f"needs the package {name}: pip install mtl_jax[{name}]" in err
    assert not (tmp_path / "out").exists()


def test_the_command_line_has_the_trackers_that_there_are(capsys):
    options = [part for name in tracking.OPTIONS for part in ("--track", name)]
    assert launch.parse(["x.py", *options]).track == [*tracking.OPTIONS]
    with pytest.raises(SystemExit):
        launch.parse(["x.py", "--track", "paper"])
    assert "tensorboard" in capsys.readouterr().err


def test_settings_of_the_file_go_before_the_defaults():
    own, other = trackers.TensorBoard(folder="logs"), Recorder()
    found = tracking.requested_trackers(
        Experiment(runs=(RUN,), trackers=(own, other)), ["tensorboard", "tensorboard"]
    )
    assert found == (own, other)
    (made,) = tracking.requested_trackers(Experiment(runs=(RUN,)), ["tensorboard"] * 2)
    assert made.destination == "TensorBoard(folder=None)"


@pytest.mark.parametrize("wrong", [(Recorder(), Recorder()), (Recorder,), ("tensorboard",)])
def test_wrong_trackers_are_bad_input(wrong):
    with pytest.raises(BadInput, match="trackers must"):
        Experiment(runs=(RUN,), trackers=wrong)
