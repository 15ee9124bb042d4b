"""Times the step of a linear probe against that of full fine-tuning, in turns.

    python tests/benchmarks/bench_probe.py --net resnet18 --turns 7

Both are runs that start from the same trunk; the probe's plan freezes it. Prints the median
seconds of a step and the ratio of a turn, median and range, and the bytes of each optimizer.
"""

import argparse
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax import data, losses, metrics, nets, optimizers, weighting
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.transfer import finetuning

TRUNKS = {
    "mlp": nets.MLP((512, 512), batch_norm=True),
    "cnn": nets.CNN((32, 64, 128)),
    "resnet18": nets.ResNet(18),
}
CLASSES, BATCH = 10, 32


def run_of(net: str) -> Run:
    """Full fine-tuning with Adam."""
    draw = np.random.default_rng(0)
    part = {
        "inputs": draw.random((256, 32, 32, 3), np.float32),
        "label": draw.integers(CLASSES, size=256, dtype=np.int32),
    }
    task = Task(
        name="label", num_outputs=CLASSES, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),)
    )
    return Run(
        name="full",
        data=data.Arrays(part, part, part),
        tasks=(task,),
        trunk=TRUNKS[net],
        balance=weighting.Equal(),
        optimizer=optimizers.Adam(1e-3),
        batch_size=BATCH,
        steps=10**6,
    )


class Side:
    """A run that takes steps and is timed."""

    def __init__(self, run: Run, steps: int):
        given = load_run_data(run).train
        self.made, self.steps = compile_run(run, given), steps
        self.state = self.made.init(None)
        self.given = self.made.put_data(given)
        self.bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(self.state.opt))
        self.turn()

    def turn(self) -> float:
        """Seconds of one step."""
        began = time.perf_counter()
        self.state, metrics = self.made.train_steps(self.state, self.given, self.steps)
        jax.block_until_ready(jax.tree.map(jnp.asarray, metrics))
        return (time.perf_counter() - began) / self.steps


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--net", choices=list(TRUNKS), default="resnet18")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4, help="of a block")
    options = parser.parse_args()
    full = run_of(options.net)
    probe = full.replace(name="probe", param_rules=finetuning.feature_extraction())
    sides = [Side(run, options.steps) for run in (full, probe)]
    turns = [[side.turn() for side in sides] for _ in range(options.turns)]
    ratios = [probe / full for full, probe in turns]
    for name, side, times in zip(("full", "probe"), sides, zip(*turns, strict=True), strict=True):
        seconds = 1e3 * statistics.median(times)
        print(f"{name:6} {seconds:9.3f} ms a step, optimizer {side.bytes:>12,} bytes")
    print(f"ratio  {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]")


if __name__ == "__main__":
    main()
