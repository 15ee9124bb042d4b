"""Compiles the steps of coming runs while the present one trains."""

import concurrent.futures
from collections.abc import Callable
from typing import Any, Self


class Ahead:
    """One thread that does jobs in the order in which they came, until one is needed now.

    XLA compiles without holding Python's lock, so on two cores a run's step is ready when
    its turn comes. What was compiled stays in JAX's own cache, where the run finds it.
    """

    def __init__(self):
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.jobs: dict[str, tuple[Callable, concurrent.futures.Future]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_):
        self.pool.shutdown(cancel_futures=True)

    def add(self, name: str, job: Callable[[], Any]) -> None:
        """Puts a job at the end of the queue."""
        self.jobs[name] = job, self.pool.submit(job)

    def need(self, name: str) -> Any:
        """What a job gives: one that has begun is waited for, one that has not is done here."""
        job, coming = self.jobs.pop(name)
        return job() if coming.cancel() else coming.result()
