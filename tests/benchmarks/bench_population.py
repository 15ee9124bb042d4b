"""Times a population of 4 learning rates x 4 seeds against 16 separate runs, in turns.

    PYTHONPATH=. python tests/benchmarks/bench_population.py --turns 3

All are the hard sharing of `experiments/digits.py`. Each side begins with an empty compilation cache,
so that compilation counts, and trains without tables and figures: one launch whose runs share a
program, one launch of 16 runs of one seed which do so too, one launch of 16 such runs with a program
each, and 16 launches of one run each. Prints the median seconds of each, and the ratios of the first
side to the others in a turn, median and range.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.optimizers import Adam, CosineSchedule
from mtl_jax.runner import sweep
from mtl_jax.runner.compilation_cache import cache_compilations
from mtl_jax.runner.run_selection import load_experiment

RATES, SEEDS = (1e-3, 2e-3, 4e-3, 8e-3), 4
ROWS_OF_SEEDS, ROWS, APART, LAUNCHES = (
    "4 rows of 4 seeds",
    "16 rows",
    "16 rows apart",
    "16 launches",
)
SIDES = (ROWS_OF_SEEDS, ROWS, APART, LAUNCHES)
DIGITS = pathlib.Path(__file__).parents[2] / "experiments" / "digits.py"


def experiment(side: str, only: int | None = None) -> Experiment:
    """The runs of a side, or one of them."""
    hard = next(r for r in load_experiment(DIGITS).runs if r.name == "hard sharing")
    runs = [
        hard.replace(name=f"rate {rate}", optimizer=Adam(CosineSchedule(rate)), num_seeds=SEEDS)
        for rate in RATES
    ]
    if side == ROWS_OF_SEEDS:
        return Experiment(runs=tuple(runs))
    separate = tuple(
        run.replace(name=f"{run.name}, seed {seed}", num_seeds=1, first_seed=seed)
        for run in runs
        for seed in range(SEEDS)
    )
    if side == ROWS:
        return Experiment(runs=separate)
    return Experiment(runs=separate if only is None else separate[only:][:1], max_population=1)


def train(side: str, only: int | None) -> None:
    """Trains a side, or one of its runs, without table and figures."""
    cache_compilations()
    sweep.write_report = lambda *_: None
    runs = experiment(side, only)
    with tempfile.TemporaryDirectory() as root:
        assert sweep.sweep(runs, runs, pathlib.Path(root)) == 0


def seconds(side: str) -> float:
    """Seconds of the processes that train a side."""
    command = [sys.executable, __file__, "--side", side]
    parts = [["--run", str(n)] for n in range(len(RATES) * SEEDS)] if side == LAUNCHES else [[]]
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        start = time.perf_counter()
        for options in parts:
            subprocess.run(
                [*command, *options], check=True, env=environment, stderr=subprocess.DEVNULL
            )
        return time.perf_counter() - start


def main() -> None:
    """Prints the times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--sides", nargs="*", choices=SIDES, default=SIDES)
    parser.add_argument("--run", type=int)
    options = parser.parse_args()
    if options.side:
        train(options.side, options.run)
        return
    turns = [[seconds(side) for side in options.sides] for _ in range(options.turns)]
    for name, times in zip(options.sides, zip(*turns, strict=True), strict=True):
        print(f"{name}: {statistics.median(times):.1f} s")
    for place, name in enumerate(options.sides[1:], 1):
        ratios = sorted(times[0] / times[place] for times in turns)
        print(
            f"ratio to {name} {statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
        )


if __name__ == "__main__":
    main()
