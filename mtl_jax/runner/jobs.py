"""Trains rows in processes of their own on this machine, several at a time."""

import argparse
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnProcess

from mtl_jax.config.run import Run
from mtl_jax.runner.console import exit_process, set_up_console
from mtl_jax.runner.failures import kind_of
from mtl_jax.runner.input_digests import Row, row_dependencies
from mtl_jax.runner.rows import check_memory, check_rows, lock_rows
from mtl_jax.runner.signals import Stopped
from mtl_jax.runner.train_programs import Sweep, archive
from mtl_jax.storage import run_data

Launch = Callable[[argparse.Namespace], int]
# A terminal sends these to all of its processes; the others get SIGTERM from the first instead.
TERMINAL_SIGNALS = {signal.SIGINT, signal.SIGHUP}


def share_accelerators() -> None:
    """Keeps JAX from reserving most of an accelerator's memory in every process."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def row_options(options: argparse.Namespace, name: str) -> argparse.Namespace:
    """The command-line options of the process that trains a row of a launch."""
    own = {"row": name, "jobs": None, "slurm": None, "fresh": False, "retry": False}
    return argparse.Namespace(**{**vars(options), **own})


def train_in_processes(
    launch: Launch, options: argparse.Namespace, own: Sweep, rows: Sequence[Row]
) -> bool:
    """Trains rows in at most `options.jobs` processes at a time, each after those that it needs.

    A process trains one row, as `--row` does.

    Args:
      launch: executes command-line options.
      options: those of this launch.
      own: what the parts of a sweep share.
      rows: the rows, each after those that it needs.

    Returns:
      True, since all rows are done with.

    Raises:
      BadInput: for data, settings or memory that do not suit, before anything is trained.
      Stopped: if a signal stops it, after every process has stopped with a checkpoint.
    """
    with lock_rows(own, rows):
        check_memory(row for row in rows if isinstance(row, Run))
        check_rows(rows, own.mesh)
        archive(own, rows)
    run_data.load.cache_clear()  # Every process reads the data itself.
    waiting, running = list(rows), {}
    try:
        while True:
            waiting = [row for row in waiting if not own.failures.add_dependent(row)]
            for row in ready(waiting, running)[: options.jobs - len(running)]:
                waiting.remove(row)
                with own.signals.deferred():
                    running[row.name] = start(launch, row_options(options, row.name))
                if own.signals.number:
                    raise Stopped(own.signals.number)
            if not running:
                break
            connection.wait([process.sentinel for process in running.values()])
            for name in [name for name, process in running.items() if not process.is_alive()]:
                note_end(own, name, running.pop(name).exitcode)
    finally:
        stop(running.values())
    own.tracking.renew_figures()
    return True


def ready(waiting: Iterable[Row], running: Mapping[str, SpawnProcess]) -> list[Row]:
    """The waiting rows that need none that is waiting or running."""
    unfinished = {*running, *(row.name for row in waiting)}
    return [row for row in waiting if not unfinished & {run.name for run in row_dependencies(row)}]


def start(launch: Launch, options: argparse.Namespace) -> SpawnProcess:
    """Starts a process that executes command-line options."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=(launch, options))
    resource_tracker.ensure_running()  # When it starts, it unblocks signals.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SIGNALS)  # The process inherits it.
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return process


def work(launch: Launch, options: argparse.Namespace) -> None:
    """Executes command-line options in a process of its own, which does not outlive its parent."""
    set_up_console()
    # Another process may be writing the entry.
    warnings.filterwarnings("ignore", "Error reading persistent compilation cache")
    threading.Thread(target=stop_with_parent, daemon=True).start()
    exit_process(launch(options))


def stop_with_parent() -> None:
    """Waits for the end of the parent process, and stops this one as SIGTERM does."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def note_end(own: Sweep, name: str, exit_code: int) -> None:
    """Adds a row whose process has ended to the failures, unless it is finished."""
    folder = own.folders[name]
    reason = folder.failure() if exit_code == 1 else None
    if reason is not None:  # The process has printed it.
        own.failures[name] = reason
    elif exit_code != 0:
        how = f"exit code {exit_code}" if exit_code > 0 else signal.Signals(-exit_code).name
        own.failures.add(name, f"{kind_of(folder.run)} {name!r}: its process ended with {how}")


def stop(processes: Iterable[SpawnProcess]) -> None:
    """Stops processes, each with a checkpoint, and waits for them."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
