"""Allocator: a block that was freed is taken again without page faults."""

import os
import platform
import subprocess
import sys

import pytest

# Takes and frees a large block of memory again and again, as steps do, and counts page faults.
PROGRAM = """
import ctypes, resource, sys
from mtl_jax.host.allocator import keep_freed_memory
print(sys.argv[1] == "keep" and keep_freed_memory())
library, size = ctypes.CDLL(None), 64 * 2**20
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
def step():
    block = library.malloc(size)
    ctypes.memset(block, 1, size)
    library.free(block)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is of glibc")


def outcome(how, **environment):
    """Whether memory was asked to be kept, and the page faults of four steps."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    command = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(
        command, env=kept | environment, capture_output=True, text=True, check=True
    )
    asked, faults = done.stdout.split()
    return asked == "True", int(faults)


@glibc
def test_freed_memory_is_taken_again():
    kept, faults = outcome("keep")
    plain, before = outcome("plain")
    assert kept and not plain
    # By hand: four blocks of 64 MB are 65536 pages of 4 KB; with large pages fewer.
    assert before > 100 and faults < before / 10


@glibc
@pytest.mark.parametrize("name", ["MALLOC_ARENA_MAX", "GLIBC_TUNABLES"])
def test_what_the_user_has_set_stands(name):
    assert not outcome("keep", **{name: "2" if name[0] == "M" else ""})[0]
