"""What a launch runs with, and what a run tells of several launches."""

import json
import subprocess

import jax
import pytest

from mtl_jax.report import provenance
from mtl_jax.runner import training
from mtl_jax.storage import environment
from mtl_jax.storage.run_directory import RunDirectory
from tests.runner.launching import launched
from tests.small import RUN

FILE = """
from mtl_jax.config.experiment import Experiment
from tests.small import RUN

EXPERIMENT = Experiment(
    runs=(RUN.replace(name="long", steps=8, evaluation={'every': 2, 'checkpoint_every': 2}),)
)
"""


def history(out):
    return json.loads((out / "long" / "run.json").read_text())["history"]


@pytest.fixture
def launch(tmp_path, monkeypatch):
    """Launches a run that is stopped at its checkpoint of a step, with some conditions."""
    file = tmp_path / "long.py"
    file.write_text(FILE)

    def launch(stop=None, git="0" * 40, devices="1 x cpu", damaged=False):
        class Stopping(training.CheckpointManager):
            def save(self, step, *args):
                super().save(step, *args)
                self.wait()
                if step == stop:
                    raise KeyboardInterrupt

        if damaged:
            (tmp_path / "out" / "long" / "metrics.jsonl").unlink()
        with monkeypatch.context() as patch:
            patch.setattr(training, "CheckpointManager", Stopping)
            patch.setattr(environment, "git_commit", lambda: git)
            patch.setattr(environment, "devices", lambda: devices)
            if stop is None:
                assert launched(file, "--out", tmp_path / "out")[0] == 0
            else:
                with pytest.raises(KeyboardInterrupt):
                    launched(file, "--out", tmp_path / "out")
        return history(tmp_path / "out")

    return launch


def said(tmp_path):
    version = jax.__version__
    text = (tmp_path / "out" / "table.md").read_text()
    return text.replace(f" with JAX {version}", "").replace("0" * 8, "A").replace("1" * 8, "B")


@pytest.mark.slow
def test_one_state_of_the_code_needs_no_word(launch, tmp_path):
    assert len(launch(stop=2)) == len(launch(stop=4)) == len(launch()) == 1
    assert "went on" not in said(tmp_path) and "several states" not in said(tmp_path)


@pytest.mark.slow
def test_a_run_that_went_on_under_others_says_so(launch, tmp_path):
    one, other = "0" * 40, "1" * 40 + "+"
    assert [h["step"] for h in launch(stop=4)] == [0]
    assert [h["git"] for h in launch(stop=6, git=other)] == [one, other]
    assert [h["step"] for h in launch(git=other, devices="2 x cpu")] == [0, 4, 6]
    told = json.loads((tmp_path / "out" / "long" / "run.json").read_text())
    assert (told["git"], told["devices"]) == (one, "1 x cpu")
    assert (
        " long began with A, on 1 x cpu, and went on from step 4 with B+, on 1 x cpu, "
        "from step 6 with B+, on 2 x cpu." in said(tmp_path)
    )


@pytest.mark.slow
def test_what_is_trained_again_is_of_the_launch_that_trains_it(launch, tmp_path):
    launch(stop=4, git="2" * 40)
    launch(stop=6, git="3" * 40)
    assert [(h["step"], h["git"][0]) for h in launch(damaged=True)] == [(0, "0")]
    told = json.loads((tmp_path / "out" / "long" / "run.json").read_text())
    assert told["git"] == "0" * 40 and "went on" not in said(tmp_path)


@pytest.mark.slow
def test_older_results_do_not_say_everything(launch, tmp_path):
    launch(stop=4)
    path = tmp_path / "out" / "long" / "run.json"
    told = json.loads(path.read_text())
    path.write_text(
        json.dumps({k: told[k] for k in told if k not in ("history", "devices", "code")})
    )
    assert [h["step"] for h in launch(devices="7 x cpu")] == [0]


def test_the_code_of_a_folder_is_what_its_files_hold(tmp_path):
    """Two states that git calls alike, a commit with changes, differ."""
    (tmp_path / "inner").mkdir()
    code = environment.code_of.__wrapped__
    found = [code(tmp_path)]
    for name, text in (("a.py", "x = 1"), ("a.py", "x = 2"), ("inner/b.py", ""), ("b.txt", "")):
        (tmp_path / name).write_text(text)
        found.append(code(tmp_path))
    assert len(set(found)) == 4 and found[-1] == found[-2]
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "inner" / "b.py").unlink()
    assert code(tmp_path) == found[1]


def test_conditions_are_those_of_this_process():
    now = environment.conditions()
    asked = ["git", "-C", str(environment.PACKAGE), "rev-parse", "HEAD"]
    head = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    assert (now["git"] or "").removesuffix("+") == head
    assert (
        now["devices"] == f"{jax.device_count()} x cpu"
        and now["versions"]["jax"] == jax.__version__
    )


def test_rows_of_other_devices_and_code_are_told_apart(finished, tmp_path):
    rows = [RUN.replace(name=name) for name in ("a", "b", "c")]
    folders = [finished(run, {"row": [0.5, 0.5], "column": [0.5, 0.5]}) for run in rows]
    assert provenance.provenance_note(folders) == ""

    def rewrite(folder, **changes):
        path = folder.path / "run.json"
        path.write_text(
            json.dumps({**json.loads(path.read_text()), "git": "a" * 40 + "+", **changes})
        )

    for folder in folders:
        rewrite(folder)
    rewrite(folders[1], code="1234567890")
    own = RunDirectory(tmp_path, rows[0]).read("run.json")["code"][:8]
    both = provenance.provenance_note(folders)
    assert f"code {own} (2)" in both and "code 12345678 (1)" in both
    rewrite(folders[1], devices="8 x NVIDIA H200")
    assert "on 8 x NVIDIA H200 (1)" in provenance.provenance_note(folders)
