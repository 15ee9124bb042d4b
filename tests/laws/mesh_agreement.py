"""Trains every method on meshes of eight CPU devices and on one, and prints how they differ.

`python -m tests.laws.mesh_agreement [--family FAMILY] [--part I/N] [--processes N]` prints, for every
method and mesh, the largest difference after three steps (`tests.laws.meshes.difference`), sorted;
the exit code is 1 if one is above its limit. Several processes share the devices of a mesh.
"""

import argparse
import itertools
import os
import subprocess
import sys

os.environ.setdefault("NPROC", "32")  # LAPACK of eight programs at once blocks eight threads.

from tests import conftest

# isort: split
import jax

DEVICES = 8
# Of a process that `in_processes` starts: address of the first, number of processes, its own.
JOINED = os.environ.get("MESH_AGREEMENT_PROCESS", "").split()
jax.config.update("jax_num_cpu_devices", DEVICES // int(JOINED[1]) if JOINED else DEVICES)
if JOINED:
    jax.distributed.initialize(JOINED[0], int(JOINED[1]), int(JOINED[2]))

from mtl_jax.storage.processes import is_first, wait_for_all
from tests.distributed.launches import free_port
from tests.laws.meshes import FAMILIES, LIMIT, LIMITS, difference, meshes, trained

assert conftest.FLAGS


def rows(family: str, start: int, step: int) -> list[tuple[float, str, str, str]]:
    """Difference, method, mesh and leaf of every `step`-th method of a family."""
    found = []
    for name, case in itertools.islice(FAMILIES[family]().items(), start, None, step):
        alone = trained(case, 1, None)
        for axes, mesh in meshes(case, DEVICES).items():
            wait_for_all()
            gap, path = difference(alone, trained(case, DEVICES, mesh))
            found.append((gap, name, axes, path))
    return sorted(found, reverse=True)


def in_processes(count: int) -> int:
    """Runs this command in several processes; returns the exit code."""
    processes = []
    address = f"127.0.0.1:{free_port()}"
    for process in range(count):
        joined = {"MESH_AGREEMENT_PROCESS": f"{address} {count} {process}"}
        command = [sys.executable, "-m", "tests.laws.mesh_agreement", *sys.argv[1:]]
        processes.append(subprocess.Popen(command, env={**os.environ, **joined}))
    return max(process.wait() for process in processes)


def main() -> int:
    """Prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=FAMILIES, action="append")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every N-th method, from I on")
    parser.add_argument("--processes", type=int, default=1, help="that share the devices")
    options = parser.parse_args()
    if options.processes > 1 and not JOINED:
        return in_processes(options.processes)
    if not is_first():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    start, step = map(int, options.part.split("/"))
    wrong = 0
    for family in options.family or FAMILIES:
        print(f"{family}:")
        for gap, name, axes, path in rows(family, start - 1, step):
            above = not gap <= LIMITS.get(name, LIMIT)
            wrong += above
            print(f"{gap:9.1e}{' !' if above else '  '} {axes:24} {name[:60]:60} {path}")
    return int(wrong > 0)


if __name__ == "__main__":
    raise SystemExit(main())
