"""Keeps LAPACK to one thread while XLA computes."""

import scipy.linalg  # noqa: F401  (loads LAPACK: a limit reaches what is loaded)
from threadpoolctl import threadpool_limits


def one_thread() -> threadpool_limits:
    """A context in which LAPACK has one thread.

    The small eigenproblems of a step are its work. Its threads wait for more by spinning, and
    so take the processor from XLA's: a step of Aligned-MTL for 40 tasks took half as long again.
    """
    return threadpool_limits(1, "blas")
