"""Trains the declared benchmarks at true shape on made up data; prints time and memory of a step.

    python tests/benchmarks/bench_declared.py                          # all files, LS or EW
    python tests/benchmarks/bench_declared.py --only nyuv2 qm9 --rows LS Nash-MTL --steps 20

Images, maps, graphs and batches have the sizes of the benchmarks; there are only two batches of
examples, of random numbers, nets start at random, and there is one seed. A line has the net's
parameters, seconds of compilation and of a step (the median), megabytes that XLA reserves for the
step, data included, and the peak of the process or of the accelerator. Every loss must be finite.
"""

import argparse
import dataclasses
import pathlib
import resource
import statistics
import time

import jax
import numpy as np

from mtl_jax import Execution, Run
from mtl_jax.config.experiment import Experiment
from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.run_selection import load_experiment
from mtl_jax.storage.run_data import load_run_data

ROOT = pathlib.Path(__file__).parents[2]
SIZES = {"nyuv2": (288, 384), "cityscapes": (128, 256), "celeba": (64, 64), "office": (224, 224)}
FILES = (
    "nyuv2", "nyuv2_resnet50", "nyuv2_partial", "cityscapes", "cityscapes_resnet50", "celeba",
    "qm9", "office31", "office_home",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class MadeUp(DataSource):
    """Two batches of random examples of a row of a file."""

    file: str
    run: Run

    def shapes(self) -> dict:
        """The arrays, which have shapes."""
        return examples(self.file, self.run, 2 * self.run.batch_size)

    def load(self) -> Splits:
        """The same examples in every part."""
        return Splits(*3 * [self.shapes()])


def examples(file: str, run: Run, count: int) -> dict:
    """Made up inputs and labels of the shapes of a benchmark; Office has a stream for each task."""
    if file.startswith("office") and len(run.tasks) > 1:
        return {t.name: examples(file, run.replace(tasks=(t,)), count) for t in run.tasks}
    rng = np.random.default_rng(0)
    if file == "qm9":
        atoms = np.eye(5, dtype=np.float32)[rng.integers(0, 5, (count, 29))]
        edges = rng.random((count, 29, 29, 4), np.float32)
        arrays = {"inputs": {"atoms": atoms, "edges": edges, "mask": np.ones((count, 29), bool)}}
        return arrays | {t.name: rng.normal(size=count).astype(np.float32) for t in run.tasks}
    size = next(size for name, size in SIZES.items() if file.startswith(name))
    arrays = {"inputs": rng.integers(0, 256, (count, *size, 3), np.uint8)}
    for task in run.tasks:
        if task.name == "segmentation":
            label = rng.integers(0, task.num_outputs, (count, *size), np.int32)
        elif task.name in ("depth", "normal"):
            label = rng.uniform(0.1, 1.0, (count, *size, task.num_outputs)).astype(np.float32)
        else:
            label = rng.integers(0, max(2, task.num_outputs), count, np.int32)
        arrays[task.name] = label
    return arrays


def made_up(file: str, run: Run, steps: int) -> Run:
    """A row with made up data."""
    return run.replace(
        data=MadeUp(file, run),
        initialization={"init_from": None},
        num_seeds=1,
        steps=steps * 1000,  # Beyond those for which compilation is shortened.
        execution=Execution(
            steps_per_call=1, step_loop="unroll", seed_loop="unroll", jacobian_loop="unroll"
        ),
    )


def measure(file: str, run: Run, steps: int) -> str:
    """A line with the cost of a row."""
    run = made_up(file, run, steps)
    data = load_run_data(run).train
    compiled = compile_run(run, data)
    state, data = compiled.init(None), compiled.put_data(data)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    began = time.perf_counter()
    program = compiled.train_steps.lower(state, data, 1).compile()
    compilation, seconds = time.perf_counter() - began, []
    analysis = program.memory_analysis()
    reserved = analysis.temp_size_in_bytes + analysis.argument_size_in_bytes
    for _ in range(steps):
        began = time.perf_counter()
        state, losses = jax.block_until_ready(program(state, data))
        seconds.append(time.perf_counter() - began)
        assert all(np.isfinite(loss).all() for loss in jax.tree.leaves(losses)), losses
    stats = jax.devices()[0].memory_stats() or {}
    peak = stats.get("peak_bytes_in_use", 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return (
        f"{file:20} {run.name:28} {parameters:12,} {compilation:8.1f} s "
        f"{statistics.median(seconds):8.3f} s {reserved / 1e6:10,.0f} MB {peak / 1e6:10,.0f} MB"
    )


def chosen(experiment: Experiment, rows: list[str]) -> list[Run]:
    """The rows of an experiment by name, by default the one with equal weights."""
    names = rows or ["LS", "EW", "one label, LS"]
    return [run for run in experiment.runs if run.name in names]


def main() -> None:
    """Measures the rows that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=FILES, choices=FILES)
    parser.add_argument("--rows", nargs="+", default=[])
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    print(f"{jax.default_backend()}: parameters, compilation, step, reserved, peak", flush=True)
    for file in options.only:
        for run in chosen(load_experiment(ROOT / "experiments" / f"{file}.py"), options.rows):
            print(measure(file, run, options.steps), flush=True)


if __name__ == "__main__":
    main()
