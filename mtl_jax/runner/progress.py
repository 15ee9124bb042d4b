"""Progress bars on a terminal; elsewhere, one line per finished run."""

import math
import time
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mtl_jax.config.run import Run
from mtl_jax.storage.environment import devices


class ProgressDisplay:
    """Displays the progress of the runs, with loss, throughput and remaining time."""

    # Set by `begin`.
    name: str
    steps: int
    count: int
    bar: TaskID
    start_time: float
    throughput: str  # Such as ", 1,234 examples/s"; "" if it is unknown.

    def __init__(self, num_runs: int, show_bars: bool = True):
        self.console = Console(stderr=True)
        self.bars = Progress(
            TextColumn("{task.description:16}", markup=False),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not (show_bars and self.console.is_terminal),
        )
        self.total = self.bars.add_task("all runs", total=num_runs, note=f"on {devices()}")

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *_):
        self.bars.stop()

    def begin(self, *runs: Run) -> None:
        """Starts the bar of a run, or of several that train together."""
        others = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
        self.name, self.steps, self.count = f"{runs[0].name}{others}", runs[0].steps, len(runs)
        self.start_time, self.throughput = time.perf_counter(), ""
        self.bar = self.bars.add_task(self.name, total=self.steps, note="compiling")

    def update(
        self,
        step: int,
        metrics: dict[str, Any],
        examples_per_second: float | None,
        wait_share: float | None = None,
    ) -> None:
        """Updates the bar of the run to a step.

        Args:
          step: the step.
          metrics: the training metrics.
          examples_per_second: the throughput, if it is known.
          wait_share: the share of the time that steps wait for data, if these are streamed.
        """
        rate = examples_per_second
        self.throughput = "" if rate is None else f", {rate:,.0f} examples/s"
        if wait_share is not None:
            self.throughput += f", {wait_share:.0%} of the time waiting"
        if self.bars.disable:
            return
        loss = math.fsum(np.mean(v) for k, v in metrics.items() if k.startswith("loss/"))
        self.bars.update(self.bar, completed=step, note=f"loss {loss:.3f}{self.throughput}")

    def end(self, failed: bool = False) -> None:
        """Removes the bar of the run, and prints a summary line unless it failed."""
        self.bars.remove_task(self.bar)
        self.bars.advance(self.total, self.count)
        if failed:
            return
        seconds = time.perf_counter() - self.start_time
        self.print(f"{self.name}: {self.steps} steps, {seconds:.1f} s{self.throughput}")

    def warn(self, text: str) -> None:
        """Prints a warning."""
        self.print(f"warning: {text}")

    def print(self, text: str) -> None:
        """Prints a line unchanged: names may contain brackets, which rich would parse as markup."""
        self.console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)
