"""Keeps LAPACK to one thread while XLA computes."""

from threadpoolctl import threadpool_limits


def one_thread() -> threadpool_limits:
    """A context in which LAPACK has one thread.

    The small eigenproblems of a step are its work. Its threads wait for more by spinning, and
    so take the processor from XLA's: a step of Aligned-MTL for 40 tasks took half as long again.

    To be called before there are other threads: SciPy's modules import each other, and JAX
    imports them when it first compiles an eigenproblem; two threads at once can wait for each
    other.
    """
    import scipy.linalg  # noqa: F401  (slow to import; a limit reaches only what is loaded)

    return threadpool_limits(1, "blas")
