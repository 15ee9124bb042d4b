"""Sizes of memories, and of trees of arrays."""

import contextlib
import os
import pathlib
from typing import Any

import jax
import numpy as np

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def device_memory() -> int:
    """Total memory of the local devices in bytes: the accelerators', else the machine's."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    if all("bytes_limit" in device for device in stats):
        return sum(device["bytes_limit"] for device in stats)
    return host_memory()


def host_memory() -> int:
    """Memory of the machine in bytes, or what this process may use of it."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in map(pathlib.Path, LIMITS):
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(path.read_text(encoding="utf-8")))
    return min(limits)


def bytes_of(tree: Any) -> int:
    """Bytes of a tree of arrays or shapes, with Python integers, which do not overflow."""
    leaves = jax.tree.leaves(tree)
    return sum(
        int(np.prod(leaf.shape, dtype=object)) * np.dtype(leaf.dtype).itemsize for leaf in leaves
    )
