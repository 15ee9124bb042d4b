"""`--profile`: a trace in the folder of each run, and the same results."""

import json

import jax
import pytest

from mtl_jax.config.execution import Execution
from mtl_jax.config.experiment import Experiment
from mtl_jax.runner.sweep import SweepOptions, sweep
from mtl_jax.storage.run_directory import RunDirectory
from tests.faults.contents import contents
from tests.runner.launching import experiment_file, launched
from tests.small import ROW, RUN

EACH = {"every": 4, "checkpoint_every": 4}
LONG = RUN.replace(
    name="long", tasks=(ROW,), steps=12, execution=Execution(steps_per_call=2), evaluation=EACH
)
EXPERIMENT = Experiment(runs=(LONG,))
FILE = "from tests.runner.test_profiler import EXPERIMENT"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return experiment_file(tmp_path_factory, FILE)


@pytest.fixture(scope="module")
def profiled(file, tmp_path_factory):
    """A launch with a profile of three steps: its folder, and the lines that it wrote."""
    out = tmp_path_factory.mktemp("profiled")
    code, _, stderr = launched(file, "--out", out, "--profile", "3")
    assert code == 0
    return out, stderr.splitlines()


def traces(out):
    return list((out / "long" / "profile").rglob("*.xplane.pb"))


def test_whole_blocks_after_the_first_are_traced(profiled):
    out, lines = profiled
    assert lines[0].startswith("long: profile of steps 3 to 6; to view it: xprof --logdir ")
    assert str(out / "long" / "profile") in lines[0] and "ui.perfetto.dev" in lines[0]
    assert lines[1].startswith("long: 12 steps, ")
    (trace,) = traces(out)
    planes = jax.profiler.ProfileData.from_file(str(trace)).planes
    events = [event.name for plane in planes for line in plane.lines for event in line.events]
    assert events.count("train") == 2


def test_results_are_the_same(profiled, file, tmp_path):
    out, _ = profiled
    assert launched(file, "--out", tmp_path)[0] == 0
    same = {name: each for name, each in contents(out).items() if "/profile" not in name}
    assert same == contents(tmp_path)
    timing = json.loads((tmp_path / "long" / "timing.json").read_text())
    assert timing["compile_seconds"] > 0 and timing["examples_per_second"] > 0


def test_a_profile_does_not_hinder_a_later_launch(profiled, file):
    out, _ = profiled
    RunDirectory(out, LONG).check()
    (out / "long" / "result.json").unlink()
    code, _, stderr = launched(file, "--out", out, "--profile", "1")
    warning, line = stderr.splitlines()
    assert code == 0 and line.startswith("long: 12 steps, ")
    assert warning.startswith("warning: run 'long': only blocks of steps after the first are")
    assert len(traces(out)) == 1


def test_a_folder_that_cannot_be_written_is_a_line(tmp_path, capsys):
    folder = RunDirectory(tmp_path, LONG)
    folder.create()
    (folder.path / "profile").write_text("in the way")
    assert sweep(EXPERIMENT, EXPERIMENT, tmp_path, SweepOptions(profile_steps=3)) == 0
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("warning: run 'long': the profile cannot be written: FileExistsError: ")
    assert second.startswith("long: 12 steps, ")
