"""Compiles the steps of coming runs while the present one trains."""

import concurrent.futures
import itertools
from collections.abc import Callable
from typing import Any, Self

MOST = 3  # What is compiled takes memory, and memory maps, which Linux counts.


class Ahead:
    """One thread that does a few jobs in the order in which they came, until one is needed now.

    XLA compiles without holding Python's lock, so on two cores a run's step is ready when
    its turn comes. What was compiled stays in JAX's own cache, where the run finds it.
    """

    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.jobs: dict[str, Callable] = {}
        self.begun: dict[str, concurrent.futures.Future] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_):
        self.pool.shutdown(cancel_futures=True)

    def add(self, name: str, job: Callable[[], Any]) -> None:
        """Puts a job at the end of the queue."""
        self.jobs[name] = job
        self.go_on()

    def need(self, name: str) -> Any:
        """What a job gives: one that has begun is waited for, one that has not is done here."""
        job, coming = self.jobs.pop(name), self.begun.pop(name, None)
        self.go_on()
        return job() if coming is None or coming.cancel() else coming.result()

    def go_on(self) -> None:
        """Gives the thread the first jobs, as many as may be done before they are needed."""
        for name, job in itertools.islice(self.jobs.items(), MOST):
            if name not in self.begun:
                self.begun[name] = self.pool.submit(job)
