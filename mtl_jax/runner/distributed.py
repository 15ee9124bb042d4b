"""Joins the processes of a launch that train together."""

import argparse
import contextlib
import os
import re
import sys
import traceback
from collections.abc import Generator
from typing import NamedTuple, Self

import jax
from jax.sharding import Mesh

from mtl_jax.config.option_values import option_values
from mtl_jax.config.run import Run
from mtl_jax.core.tree import num_examples
from mtl_jax.core.validation import BadInput, require
from mtl_jax.runner.error_messages import first_line
from mtl_jax.storage.abstract_data import single_seed
from mtl_jax.storage.processes import is_first, is_same
from mtl_jax.train import TrainData

AUTO = "auto"
FIELDS = ("coordinator", "processes", "process")
ADDRESS = re.compile(r"\S+:\d+")
SHUTDOWN_SECONDS = 60  # That a process which ends waits for the others.


class Distributed(NamedTuple):
    """The processes that train together, as arguments of `jax.distributed.initialize`.

    Attributes:
      coordinator: address of the first process, `HOST:PORT`; None if JAX finds it out.
      processes: number of processes.
      process: the number of this one, from 0.
    """

    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses `auto` or `coordinator=HOST:PORT,processes=N,process=I`.

        Raises:
          BadInput: for an unknown, missing or invalid field.
        """
        if text == AUTO:
            return cls()
        rule = f"is neither {AUTO} nor a field"
        found = option_values("--distributed", text, FIELDS, rule)
        missing = [name for name in FIELDS if name not in found]
        if missing:
            raise BadInput(f"--distributed {text}: needs {missing[0]}, or must be {AUTO}")
        if ADDRESS.fullmatch(found["coordinator"]) is None:
            rule = f"must be HOST:PORT, not {found['coordinator']}"
            raise BadInput(f"--distributed coordinator: {rule}")
        processes, process = (count(name, found[name]) for name in FIELDS[1:])
        if not process < processes:
            rule = f"must be less than the number of processes, {processes}, not {process}"
            raise BadInput(f"--distributed process: {rule}")
        return cls(found["coordinator"], processes, process)

    def start(self) -> None:
        """Joins the other processes; all but the first are silent then.

        Raises:
          BadInput: if the processes do not find each other.
        """
        try:
            jax.distributed.initialize(*self, shutdown_timeout_seconds=SHUTDOWN_SECONDS)
        except (ValueError, RuntimeError) as error:
            raise BadInput(f"--distributed: {first_line(error)}") from error
        if not is_first():
            sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def require_same_options(options: argparse.Namespace) -> None:
    """Requires that all processes have the same command-line options.

    Raises:
      BadInput: if they differ.
    """
    others = ("distributed", "experiment")  # Rows are compared later.
    own = {name: value for name, value in vars(options).items() if name not in others}
    if not is_same(lambda: sorted(own.items())):
        raise BadInput("--distributed: other processes have other options")


def count(name: str, text: str) -> int:
    """Parses a field that counts.

    Raises:
      BadInput: if it is no integer.
    """
    if not text.isdecimal():
        raise BadInput(f"--distributed {name}: must be an integer, not {text!r}")
    return int(text)


def print_error(text: str) -> None:
    """Prints a line to stderr, in any process, with its number unless it is the first."""
    if is_first():
        print(text, file=sys.stderr, flush=True)
    else:  # `Distributed.start` has silenced it.
        print(f"process {jax.process_index()}: {text}", file=sys.__stderr__, flush=True)


@contextlib.contextmanager
def end_on_error(*alike: type[Exception]) -> Generator[None]:
    """Ends this process at an error that it alone may have, since the others wait for it.

    JAX ends them when it notices. With one process, errors are raised.

    Args:
      alike: errors that all processes have alike, which are raised.
    """
    try:
        yield
    except alike:
        raise
    except Exception as error:
        if jax.process_count() == 1:
            raise
        lines = traceback.format_exception(error)
        print_error(f"error: {error}" if isinstance(error, BadInput) else "".join(lines).rstrip())
        os._exit(1)


def require_all_processes(run: Run, mesh: Mesh, data: TrainData) -> None:
    """Requires a mesh of the devices of all processes, and an example for each process.

    Raises:
      BadInput: if it leaves some out, or a stream has too few examples.
    """
    processes = jax.process_count()
    if processes > 1 and mesh.size != jax.device_count():
        shape = ", ".join(f"{axis}={size}" for axis, size in mesh.shape.items())
        raise BadInput(
            f"run {run.name!r}: the {jax.device_count()} devices of all processes must divide its "
            f"seeds and its batch; {shape} is the largest mesh that does"
        )
    for stream in single_seed(run, data).streams.values():
        rule = f"must have at least as many examples as there are processes, {processes}"
        count = num_examples(stream.inputs)
        require(count >= processes, run, "data", rule, count)
