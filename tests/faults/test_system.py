"""A full disk and too few file descriptors: a line for each run that names the folder."""

import os
import pathlib
import shlex
import subprocess
import sys

import pytest

from mtl_jax.storage.files import system_error

ROOT = pathlib.Path(__file__).parent.parent.parent
BODY = """
from mtl_jax import nets
from mtl_jax.config.experiment import Experiment
from tests.small import ROW, RUN

ONE = RUN.replace(
    name="one", tasks=(ROW,), num_seeds=1, steps=4, trunk=nets.MLP((200,)),
    evaluation={"every": 1, "checkpoint_every": 1},
)
EXPERIMENT = Experiment(runs=(ONE, ONE.replace(name="two")))
"""


def launch_with(limit, folder):
    """A launch in a shell with a limit of the operating system, such as "-f 8"."""
    file = folder / "limited.py"
    file.write_text(BODY)
    command = [sys.executable, str(ROOT / "launch.py"), str(file), "--out", str(folder / "out")]
    return subprocess.run(
        ["sh", "-c", f"ulimit {limit}; exec {shlex.join(command)}"],
        check=False, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip


@pytest.mark.slow
def test_a_disk_that_takes_no_more(tmp_path):
    """A limit of a file's size stands for it; without, the next launch goes on."""
    found = launch_with("-f 16", tmp_path)
    assert found.returncode == 1
    lines = [line for line in found.stderr.splitlines() if line.startswith("error: ")]
    for name, line in zip(("one", "two"), lines, strict=True):
        folder = tmp_path / "out" / name / "checkpoints" / "1"
        assert line == f"error: run {name!r}: OSError: [Errno 27] File too large: '{folder}'"
    assert "Traceback" not in found.stderr and "asyncio" not in found.stderr
    infinite = launch_with("-f unlimited", tmp_path)
    assert infinite.returncode == 1 and infinite.stderr.count("--retry") == 2


def test_the_system_s_error_is_found_in_causes_and_texts():
    path = pathlib.Path("somewhere")
    try:
        try:
            raise OSError(24, "Too many open files")
        except OSError:
            raise AttributeError("no socket") from None
    except AttributeError as error:
        found = system_error(error, path)
    assert (found.errno, found.filename) == (24, "somewhere")
    text = ValueError("RESOURCE_EXHAUSTED: Failed to write: No space left on device [x]")
    assert system_error(text, path).errno == 28
    assert system_error(ValueError("of another kind"), path) is None
