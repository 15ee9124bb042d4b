"""Launches in processes of their own, which end by SIGKILL at a write or some time after it."""

import itertools
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
from typing import NamedTuple

import launch
from mtl_jax.runner.launch import launch as run_launch

# A server imports the package once, and each launch is a fork of it.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])
FOR_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Moment(NamedTuple):
    """When a launch is killed: some seconds after the start of one of its writes."""

    write: int  # Counted from 1.
    seconds: float


class Ended(NamedTuple):
    """How a launch ended."""

    exit_code: int  # -9 if it was killed.
    writes: int  # That it started.


def killed_launch(file: pathlib.Path, out: pathlib.Path, moment: Moment | None = None) -> Ended:
    """Launches an experiment, and kills it unless it ends before."""
    writes = CONTEXT.Value("i", 0)
    process = CONTEXT.Process(target=launch_and_die, args=(file, out, moment, writes))
    process.start()
    process.join()
    return Ended(process.exitcode, writes.value)


def launch_and_die(file: pathlib.Path, out: pathlib.Path, moment: Moment | None, writes) -> None:
    """What the process does; the compilations of an output folder are kept beside it."""
    os.environ["XDG_CACHE_HOME"] = str(out.parent / "cache")
    sys.stderr = open(out.parent / "stderr", "a")  # noqa: SIM115, it is open until the end.
    numbers = itertools.count(1)

    def count(event: str, arguments: tuple) -> None:
        if not is_write(event, arguments, str(out.parent)):
            return
        writes.value = number = next(numbers)
        if moment is not None and number == moment.write:
            die(moment.seconds)

    sys.addaudithook(count)
    sys.exit(run_launch(launch.parse([str(file), "--out", str(out)])))


def is_write(event: str, arguments: tuple, folder: str) -> bool:
    """Whether an event of auditing is about to change something below a folder."""
    if event == "open":
        path, _, flags = arguments
        return bool(flags & FOR_WRITING) and str(path).startswith(folder)
    if event in ("os.remove", "os.rmdir"):
        path, opened = arguments  # `shutil.rmtree` opens the folder and gives names in it.
        return opened != -1 or str(path).startswith(folder)
    return event in ("os.mkdir", "os.rename") and str(arguments[0]).startswith(folder)


def die(seconds: float) -> None:
    """Kills this process, now or later."""
    if seconds == 0.0:
        os.kill(os.getpid(), signal.SIGKILL)
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True  # The launch may end before.
    timer.start()
