"""Limits LAPACK to one thread while XLA computes."""

from threadpoolctl import threadpool_limits


def limit_blas_threads() -> threadpool_limits:
    """Returns a context that limits LAPACK to one thread.

    LAPACK solves the small eigenproblems of a step. Its idle threads spin, and so compete with
    XLA's for the CPU: a step of Aligned-MTL with 40 tasks took 1.5 times as long.

    Call this before other threads exist: SciPy's modules import each other, and JAX imports them
    when it first compiles an eigenproblem, so two threads importing at once can deadlock.
    """
    import scipy.linalg  # noqa: F401  (slow to import; the limit only applies to loaded libraries)

    return threadpool_limits(1, "blas")
