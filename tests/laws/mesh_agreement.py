"""Trains every method on meshes of eight CPU devices and on one, and prints how they differ.

`python -m tests.laws.mesh_agreement [--family FAMILY] [--part I/N]` prints, for every method and
mesh, the largest difference after three steps (`tests.laws.meshes.difference`), sorted; the exit
code is 1 if one is above its limit.
"""

import argparse
import itertools
import os

os.environ.setdefault("NPROC", "32")  # LAPACK of eight programs at once blocks eight threads.

from tests import conftest

# isort: split
import jax

jax.config.update("jax_num_cpu_devices", 8)

from tests.laws.meshes import FAMILIES, LIMIT, LIMITS, difference, meshes, trained

assert conftest.FLAGS


def rows(family: str, start: int, step: int) -> list[tuple[float, str, str, str]]:
    """Difference, method, mesh and leaf of every `step`-th method of a family."""
    found = []
    for name, case in itertools.islice(FAMILIES[family]().items(), start, None, step):
        alone = trained(case, 1, None)
        for axes, mesh in meshes(case, 8).items():
            gap, path = difference(alone, trained(case, 8, mesh))
            found.append((gap, name, axes, path))
    return sorted(found, reverse=True)


def main() -> int:
    """Prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=FAMILIES, action="append")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every N-th method, from I on")
    options = parser.parse_args()
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
