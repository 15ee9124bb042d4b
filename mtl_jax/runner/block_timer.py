"""Throughput of training: examples a second, apart from compilation and evaluation."""

import contextlib
import time
from collections.abc import Generator


class BlockTimer:
    """Times blocks of steps, except the first of each length, for which it may be compiled.

    Attributes:
      examples_per_step: labelled and unlabelled examples of all seeds that enter a step.
      waited: seconds that the timed blocks waited for their data.
    """

    def __init__(self, examples_per_step: int):
        self.examples_per_step = examples_per_step
        self.lengths: set[int] = set()
        self.steps, self.seconds, self.waited = 0, 0.0, 0.0
        self.waiting = 0.0  # In the current block.

    def is_compiled(self, steps: int) -> bool:
        """Whether a block of this length has been trained."""
        return steps in self.lengths

    @contextlib.contextmanager
    def measure(self, steps: int, counts: bool = True) -> Generator[None, None, None]:
        """Times a block if it counts; its end must wait for the devices."""
        start, self.waiting = time.perf_counter(), 0.0
        yield
        if counts and self.is_compiled(steps):
            self.steps += steps
            self.seconds += time.perf_counter() - start
            self.waited += self.waiting
        self.lengths.add(steps)

    @contextlib.contextmanager
    def wait(self) -> Generator[None, None, None]:
        """Times what a block waits for its data."""
        start = time.perf_counter()
        yield
        self.waiting += time.perf_counter() - start

    @property
    def wait_share(self) -> float | None:
        """Share of the time that blocks waited for their data; None if no block was timed."""
        return self.waited / self.seconds if self.seconds else None

    @property
    def examples_per_second(self) -> float | None:
        """Examples a second; None if no block was timed."""
        return self.examples_per_step * self.steps / self.seconds if self.steps else None
