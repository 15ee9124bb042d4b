"""Compiles the steps of upcoming runs while the current one trains."""

import concurrent.futures
import itertools
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from jax.stages import Compiled, Lowered

MAX_PENDING = 3  # Compiled programs use memory, and memory maps, which Linux limits.


class Compilation(NamedTuple):
    """The compilation of a block of steps."""

    seconds: float  # Few if the compiled program is in the persistent cache.
    num_bytes: int | None  # Of a compiled block, see `program_bytes`.


class CompileAhead:
    """A background thread that runs a few jobs in FIFO order ahead of their use.

    XLA releases the GIL while it compiles, so on two cores a run's step is ready when the run
    starts. Compiled programs stay in JAX's cache, from which the run gets them.
    """

    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.jobs: dict[str, Callable] = {}
        self.futures: dict[str, concurrent.futures.Future] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind, *_):
        # An error or a signal does not wait for what is compiling.
        self.pool.shutdown(wait=kind is None, cancel_futures=True)

    def add(self, name: str, job: Callable[[], Any]) -> None:
        """Appends a job to the queue."""
        self.jobs[name] = job
        self.submit_next()

    def take(self, name: str) -> Callable[[], Any]:
        """Takes a job out of the queue.

        Returns:
          A function that gives its result: it waits for the job if it has started, and else runs it.
        """
        job, future = self.jobs.pop(name), self.futures.pop(name, None)
        self.submit_next()
        return job if future is None or future.cancel() else future.result

    def submit_next(self) -> None:
        """Submits the first jobs of the queue, at most `MAX_PENDING`."""
        for name, job in itertools.islice(self.jobs.items(), MAX_PENDING):
            if name not in self.futures:
                self.futures[name] = self.pool.submit(job)


def compile_block(lower: Callable[[], Lowered]) -> Compilation:
    """Lowers and compiles a block of steps, which stays in JAX's cache."""
    start = time.perf_counter()
    compiled = lower().compile()
    return Compilation(time.perf_counter() - start, program_bytes(compiled))


def program_bytes(compiled: Compiled) -> int | None:
    """Bytes that a compiled block of steps needs besides code; None if XLA reports none."""
    stats = compiled.memory_analysis()
    if stats is None:
        return None
    arrays = stats.argument_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
    return arrays + stats.temp_size_in_bytes
