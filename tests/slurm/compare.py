"""Compares two folders of results, of which SLURM wrote the second: python -m tests.slurm.compare A B."""

import pathlib
import sys

from tests.faults.contents import contents

plain, slurm = (contents(pathlib.Path(folder)) for folder in sys.argv[1:])
other = {name for name in {*plain, *slurm} if plain.get(name, 0) != slurm.get(name, 0)}
other = {name for name in other if not name.startswith((".locks", ".slurm"))}
if other:
    sys.exit(f"these differ: {', '.join(sorted(other))}")
print(f"{len(plain)} files and folders agree bitwise, but for seconds")
