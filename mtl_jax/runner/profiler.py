"""Profiles a few training steps of a run, with a trace of `jax.profiler`."""

import contextlib
import shlex
from collections.abc import Generator
from typing import Self

import jax

from mtl_jax.runner.error_messages import first_line
from mtl_jax.runner.progress import ProgressDisplay
from mtl_jax.storage.run_directory import RunDirectory


class StepProfiler:
    """Traces consecutive blocks of steps, from the first whose program was compiled before.

    Evaluations and checkpoints between the blocks are in the trace too. A trace that cannot be
    taken or written is a warning, and training goes on.
    """

    def __init__(self, steps: int, folder: RunDirectory, display: ProgressDisplay):
        """Makes a profiler that writes to `profile/` in the folder of a run.

        Args:
          steps: the least number of steps to trace; 0 for no trace.
          folder: the folder of the run.
          display: prints where the trace is.
        """
        self.steps, self.display = steps, display
        self.name, self.path = folder.run.name, folder.path / "profile"
        self.first: int | None = None  # The step before the trace that is running.
        self.last = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind, *_):
        if self.first is not None:
            self.stop(self.first)
        elif self.steps and kind is None:
            self.warn("only blocks of steps after the first are profiled, and there is none")

    @contextlib.contextmanager
    def block(self, start: int, stop: int, is_compiled: bool) -> Generator[bool, None, None]:
        """Traces the block of steps `(start, stop)`, if it is one of those to trace.

        Gives whether it is, which slows it down.
        """
        if self.steps and self.first is None and is_compiled:
            self.start(start)
        if self.first is None:
            yield False
            return
        self.last = stop
        with jax.profiler.StepTraceAnnotation("train", step_num=start):
            yield True
        if stop - self.first >= self.steps:
            self.stop(self.first)

    def start(self, step: int) -> None:
        """Starts the trace."""
        with self.catch():
            # JAX writes the files at the end, and after a failure starts no other trace.
            self.path.mkdir(exist_ok=True)
            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0  # Steps are no Python, and it slows the rest down.
            jax.profiler.start_trace(self.path, profiler_options=options)
            self.first = step

    def stop(self, first: int) -> None:
        """Stops the trace of the steps after `first`, and says where it is and how to view it."""
        self.first = None
        with self.catch():
            jax.profiler.stop_trace()
            self.display.print(
                f"{self.name}: profile of steps {first + 1} to {self.last}; to view it: xprof "
                f"--logdir {shlex.quote(str(self.path))}, or its trace.json.gz at ui.perfetto.dev"
            )
        self.steps = 0

    @contextlib.contextmanager
    def catch(self) -> Generator[None, None, None]:
        """Warns of an error, after which nothing is traced."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            self.steps = 0
            self.warn(f"the profile cannot be written: {first_line(error)}")

    def warn(self, text: str) -> None:
        """Prints a warning about the profile of the run."""
        self.display.warn(f"run {self.name!r}: {text}")
