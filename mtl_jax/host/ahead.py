"""Compiles the steps of coming runs while the present one trains."""

import concurrent.futures
from collections.abc import Callable
from typing import Self


class Ahead:
    """One thread that does jobs in the order in which they came, until one is needed now.

    XLA compiles without holding Python's lock, so on two cores a run's step is ready when
    its turn comes. What was compiled stays in JAX's own cache, where the run finds it.
    """

    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.jobs: dict[str, concurrent.futures.Future] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_):
        self.pool.shutdown(cancel_futures=True)

    def add(self, name: str, job: Callable[[], object]) -> None:
        """Puts a job at the end of the queue."""
        self.jobs[name] = self.pool.submit(job)

    def need(self, name: str) -> None:
        """Waits for a job that has begun; one that has not is dropped, its user does it."""
        job = self.jobs.pop(name)
        if not job.cancel():
            job.result()
