"""Has the C library keep the memory that is freed, for the next step to take again."""

import ctypes
import os

# Of glibc's malloc.h.
TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Tells glibc's malloc never to give memory back to the system while the process lives.

    XLA takes a step's buffers anew at every step on a CPU. By default glibc maps such large
    blocks from the system and gives them back, and every page of them is then a page fault of
    the next step, as 4 KB of zeros. What it costs: the process stays as large as it ever was,
    and cannot fill holes as well. Only what is set before the backend of JAX begins (its
    threads) counts for all of it. Variables `MALLOC_...` or `GLIBC_TUNABLES` in the
    environment are the user's word, and nothing is changed then.

    Returns:
      Whether it was done; not done where the C library is not glibc.

    Reference: mallopt(3), https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if any(name == "GLIBC_TUNABLES" or name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  Another library may have a mallopt of its own.
    except (AttributeError, OSError, TypeError):
        return False
    # A threshold of -1 is never; one arena, since others are mapped in small pieces.
    settings = ((MMAP_MAX, 0), (TRIM_THRESHOLD, -1), (ARENA_MAX, 1))
    return all(library.mallopt(*setting) == 1 for setting in settings)
