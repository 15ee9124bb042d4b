"""Launches in several real processes."""

import os
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).parent.parent.parent
ONE = (pathlib.Path(__file__).parent / "kinds.py",)
TWO, THREE = 2 * ONE, 3 * ONE


def free_port() -> int:
    """A port that nothing listens to."""
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


def started(
    out: pathlib.Path,
    files: Sequence[pathlib.Path],
    *options: str,
    devices: int = 1,
    of_last: Sequence[str] = (),
) -> list[subprocess.Popen[str]]:
    """The processes of a launch, one for each experiment file, each with some devices.

    Args:
      out: the folder of results.
      files: the experiment file of each process.
      *options: the options of all processes.
      devices: number of devices of each.
      of_last: more options of the last process.
    """
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "PYTHONPATH": str(ROOT),
    }
    launch = [sys.executable, str(ROOT / "launch.py")]
    address = f"coordinator=127.0.0.1:{free_port()},processes={len(files)}"
    return [
        subprocess.Popen(
            [
                *[*launch, file, "--out", out, *options],
                *["--distributed", f"{address},process={number}"],
                *(of_last if number == len(files) - 1 else ()),
            ],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, file in enumerate(files)
    ]


def ended(processes: Sequence[subprocess.Popen[str]]) -> tuple[list[int], list[str]]:
    """Exit codes, and what the processes said but for Gloo."""
    said = []
    for process in processes:
        out, err = process.communicate(timeout=300)
        lines = [line for line in (out + err).splitlines() if not line.startswith("[Gloo]")]
        said.append("\n".join(lines))
    return [process.returncode for process in processes], said


def wait_for_lines(path: pathlib.Path, count: int, processes: Sequence[subprocess.Popen]) -> None:
    """Waits until a file has some lines."""
    while not path.is_file() or path.read_text().count("\n") < count:
        assert all(process.poll() is None for process in processes), ended(processes)
        time.sleep(0.01)
