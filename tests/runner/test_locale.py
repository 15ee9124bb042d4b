"""Files are UTF-8 and names are told, whatever the locale is."""

import ast
import json
import os
import pathlib
import subprocess
import sys

import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.storage.files import require_file_names

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "mtl_jax").rglob("*.py")), ROOT / "launch.py"]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "JAX_PLATFORMS": "cpu"}
READERS = {"open", "read_text", "write_text"}
EXPERIMENT = """
import numpy as np
from mtl_jax import data, losses, metrics, nets, optimizers, weighting
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.run_groups import Evaluation
from mtl_jax.config.task import Task

PART = {"inputs": np.eye(8, dtype=np.float32), "größe": np.arange(8) % 2}
TASK = Task(name="größe", num_outputs=2, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),))
RUN = Run(
    name=NAME, data=data.Arrays(PART, PART, PART), tasks=(TASK,), trunk=nets.MLP((2,)),
    balance=weighting.Equal(), optimizer=optimizers.Adam(1e-2), batch_size=4, steps=1,
    evaluation=Evaluation(every=1, checkpoint_every=1),
)
EXPERIMENT = Experiment(runs=(RUN,))
"""


def calls_without_encoding(source):
    """Lines where a text file is opened in the encoding of the locale."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        own = isinstance(function, ast.Name) and name != "open"  # the package's read_text
        modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
        binary = any("b" in mode for mode in modes if isinstance(mode, str) and len(mode) < 4)
        image = ast.unparse(function) in ("Image.open", "PIL.Image.open")
        named = any(word.arg == "encoding" for word in node.keywords)
        if name in READERS and not (own or binary or image or named):
            found.append(node.lineno)
    return found


def test_text_files_name_their_encoding():
    wrong = []
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        found = [lines[at - 1].strip() for at in calls_without_encoding(source)]
        wrong += [f"{path.name}: {line}" for line in found if ".lock" not in line]
    assert wrong == []


def test_the_search_finds_what_it_looks_for():
    assert calls_without_encoding('open("a")\nx.read_text()\nopen(a, "rb")\n') == [1, 2]


def launched(tmp_path, name, *options):
    """Output of a launch where the locale knows ASCII only."""
    file = tmp_path / "names.py"
    file.write_text(f"NAME = {name!r}\n{EXPERIMENT}", encoding="utf-8")
    line = [sys.executable, "launch.py", str(file), "--out", str(tmp_path / "out"), *options]
    environment = {**os.environ, **ASCII, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_run_leaves_utf8(tmp_path):
    done = launched(tmp_path, "mine")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    for name in ("table.md", "table.csv", "table.tex", "mine/metrics.jsonl", "mine/run.json"):
        (out / name).read_bytes().decode("utf-8")
    assert "größe" in (out / "table.md").read_bytes().decode("utf-8")
    record = json.loads((out / "mine/metrics.jsonl").read_bytes().decode().splitlines()[0])
    assert any("größe" in key for key in json.dumps(record, ensure_ascii=False).split('"'))


def test_warnings_of_data_are_one_line_and_once():
    code = (
        "import warnings; from mtl_jax.runner import console; from mtl_jax.core.validation import DataWarning\n"
        "warnings.formatwarning = console.format_warning\n"
        "for text in ('a', 'a', 'b\\nc'):\n"
        "    warnings.simplefilter('always'); warnings.warn(text, DataWarning)\n"
        "warnings.warn('other')\n"
    )
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.startswith("warning: a\nwarning: b c\n<string>:5: UserWarning: other")


@pytest.mark.slow
def test_names_are_listed_in_any_locale(tmp_path):
    listed = launched(tmp_path, "größe", "--list")
    assert listed.returncode == 0, listed.stderr
    assert r"gr\xf6\xdfe" in listed.stdout


def test_a_name_that_is_no_file_name_is_named():
    require_file_names(["mine", "größe"])
    with pytest.raises(BadInput, match=r"can be no folder, since files have names in utf-8"):
        require_file_names(["mine", "\ud800"])
