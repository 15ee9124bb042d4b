"""Times augmentations and FixMatch's step against PyTorch and Pillow, in turns; prints the ratios.

    pip install -e ".[bench]" && python tests/benchmarks/bench_consistency.py --what weak strong step
    python tests/benchmarks/bench_consistency.py --what check peak
    python tests/benchmarks/bench_consistency.py --what step --ours PYTHON [PYTHON ...] --turns 9
    python tests/benchmarks/bench_consistency.py --what step --malloc default

Each side runs in a process of its own, one at a time; a ratio is of one turn, and its median and
range over the turns are printed, with wall-clock and CPU milliseconds (of the process itself: not
of loaders' workers) and page faults of a unit. Below 1 we are faster. `--ours` are Pythons with
other versions of JAX, whose first one is compared.

`weak` is flip and reflected crop, `strong` and `strong_usb` are FixMatch's and USB's forms of
RandAugment and Cutout, on BATCH images 32 x 32 x 3 of bytes, normalized: ours on the whole batch,
theirs on Pillow images in a DataLoader of 1 and 2 worker processes. `step` is WRN-28-2 on 16
labelled images and 112 weak and strong views, SGD with Nesterov momentum and averages; ours takes
a batch out of the pool and makes no views, theirs has its batch in memory. `views` is the same
with the views made, theirs by 2 loading processes (and one for labelled images).
`check` compares the two nets: parameters, logits and gradients of the same weights and images.
`--malloc tuned` has both sides keep freed memory (glibc's environment variables).
"""

import argparse
import functools
import os
import resource
import statistics
import subprocess
import sys
import time

BATCH, RATIO, CLASSES = 448, 7, 10
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
MALLOC = {
    "tuned": {
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(2**34),
        "MALLOC_ARENA_MAX": "1",
    },
    "default": {},
}
AUGMENTED = ("weak", "strong", "strong_usb")


def our_policy(what: str):
    """Our augmentation of a name."""
    from mtl_jax import augment

    makes = {
        "weak": augment.weak_crop_flip,
        "strong": augment.randaugment_fixmatch,
        "strong_usb": augment.randaugment_usb,
    }
    return makes[what]()


def our_views(what: str):
    """Our augmentation of batches from a pool, and how many steps to settle."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from mtl_jax.train.views import augment_batch

    pool = jnp.asarray(np.random.default_rng(0).integers(0, 256, (5000, 32, 32, 3)), jnp.uint8)
    policy, mean, std = our_policy(what), jnp.array(MEAN)[None, None, None], jnp.array(STD)

    @jax.jit
    def views(number, pool):
        key = jax.random.fold_in(jax.random.key(0), number)
        images = pool[jax.random.randint(key, (BATCH,), 0, len(pool))]
        images = augment_batch(policy, jax.random.fold_in(key, 1), images, None, "map")
        return (images - mean) / std[None, None, None]

    def steps(count):
        for number in range(count):
            views(jnp.int32(number), pool).block_until_ready()

    return steps, 1


def our_run(what: str, labelled: int):
    """Our run of FixMatch; `step` makes no views."""
    import numpy as np

    from mtl_jax import augment, consistency, data, losses, metrics, nets, optimizers, weighting
    from mtl_jax.config.run import Labels, Run
    from mtl_jax.config.run_groups import Augmentation
    from mtl_jax.config.task import Task

    draw = np.random.default_rng(0)
    part = {
        "inputs": draw.integers(0, 256, (2000, 32, 32, 3)).astype(np.uint8),
        "label": draw.integers(CLASSES, size=2000, dtype=np.int32),
    }
    task = Task(
        name="label",
        num_outputs=CLASSES,
        loss=losses.cross_entropy,
        metrics=(metrics.Accuracy(),),
        auxiliary=consistency.FixMatch(),
    )
    made = what == "views"
    return Run(
        name="bench",
        data=data.Arrays(part, part, part),
        tasks=(task,),
        trunk=nets.WideResNet(),
        balance=weighting.Equal(),
        optimizer=optimizers.SGD(0.03, weight_decay=5e-4),
        batch_size=labelled,
        labels=Labels(num_labelled=200, unlabelled_ratio=RATIO),
        augmentation=Augmentation(
            weak=our_policy("weak") if made else None,
            strong=our_policy("strong") if made else augment.Chain(()),
        ),
        steps=10**6,
    )


def our_step(what: str, labelled: int):
    """Our step as a run takes it, in blocks."""
    import jax

    from mtl_jax.runner.compiled_run import compile_run
    from mtl_jax.runner.execution import default_execution
    from mtl_jax.storage.run_data import load_run_data

    run = our_run(what, labelled)
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train)
    block = default_execution(run, jax.default_backend()).steps_per_call
    state, given = [made.init(None)], made.put_data(prepared.train)

    def steps(count):
        for _ in range(max(1, count // block)):
            state[0], _ = made.train_steps(state[0], given, block)
        jax.block_until_ready(state[0])

    return steps, block


def our_peak():
    """A matrix product of 2048 in JAX."""
    import jax
    import jax.numpy as jnp

    a = jax.random.normal(jax.random.key(0), (2048, 2048))
    product = jax.jit(jnp.matmul)

    def steps(count):
        for _ in range(count):
            product(a, a).block_until_ready()

    return steps, 1


def ours(what: str, labelled: int):
    """Our side of any of them."""
    if what in AUGMENTED:
        return our_views(what)
    return our_peak() if what == "peak" else our_step(what, labelled)


def theirs(side: str, what: str, labelled: int):
    """A side of the peers."""
    import peers_consistency as peers

    if what == "peak":
        return peers.peak()
    if what in AUGMENTED:
        return peers.loaded(what, int(side.removeprefix("pillow")), BATCH)
    return peers.fixmatch(side, what == "views", labelled, RATIO * labelled)


def sides(what: str, options: argparse.Namespace) -> dict[str, str]:
    """The sides of a comparison, and the Python of each."""
    mine = {f"ours{i or ''}": python for i, python in enumerate(options.ours)}
    if what == "peak":
        peers = ["torch"]
    elif what in AUGMENTED:
        peers = ["pillow1", "pillow2"]
    else:
        peers = options.peers
    return mine | dict.fromkeys(peers, sys.executable)


def work() -> None:
    """A worker: makes a side's step, then runs as many as each line of its input says."""
    side, what, labelled = sys.argv[2:5]
    make = ours if side.startswith("ours") else functools.partial(theirs, side)
    steps, unit = make(what, int(labelled))
    steps(unit)
    print(unit, flush=True)
    for line in sys.stdin:
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        steps(int(line))
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        print(wall, cpu, after.ru_minflt - before.ru_minflt, flush=True)


class Worker:
    """A side in a process of its own; `broken` says why it is not there."""

    def __init__(self, python: str, side: str, what: str, options: argparse.Namespace):
        self.process = subprocess.Popen(
            [python, __file__, "--worker", side, what, str(options.labelled)],
            env=os.environ | MALLOC[options.malloc],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = self.process.stdout.readline()
        self.broken = None if first else self.process.stderr.read().strip().splitlines()[-1]
        self.count = int(first or 1)

    def time(self) -> tuple[float, float, float]:
        """Seconds by the clock and of the CPU, and page faults, of a step."""
        self.process.stdin.write(f"{self.count}\n")
        self.process.stdin.flush()
        found = self.process.stdout.readline().split()
        return tuple(float(number) / self.count for number in found)

    def settle(self, least: float) -> None:
        """Finds a number of steps that takes at least so many seconds."""
        while (each := self.time()[0]) * self.count < least:
            self.count = max(2 * self.count, int(1.1 * least / each / self.count) * self.count)

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def compare(what: str, options: argparse.Namespace, work_of_step: float) -> None:
    """Prints the ratio of our time to each peer's."""
    pythons = sides(what, options)
    workers = {side: Worker(py, side, what, options) for side, py in pythons.items()}
    there = {side: worker for side, worker in workers.items() if worker.broken is None}
    for worker in there.values():
        worker.settle(options.least)
    found = {side: [] for side in there}
    for _ in range(options.turns):
        for side, worker in there.items():
            found[side].append(worker.time())
    for worker in there.values():
        worker.close()
    for side, times in found.items():
        ratios = [a[0] / b[0] for a, b in zip(found["ours"], times, strict=True)]
        wall, cpu, faults = map(statistics.median, zip(*times, strict=True))
        rate = f"{work_of_step / wall:9.4g} {'images' if what in AUGMENTED else 'GFLOP'}/s"
        print(
            f"{what:10} {side:13} {1e3 * wall:9.2f} ms, CPU {1e3 * cpu:9.2f} ms {faults:9.0f} "
            f"faults {rate}   ratio {statistics.median(ratios):6.3f} "
            f"[{min(ratios):.3f}-{max(ratios):.3f}]",
            flush=True,
        )
    for side in workers.keys() - there.keys():
        print(f"{what:10} {side:13} not there: {workers[side].broken}", flush=True)


def main() -> None:
    """Reads the command line and compares."""
    choices = [*AUGMENTED, "step", "views", "peak", "check"]
    peers = ["channels_last", "compiled", "eager"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--what", nargs="+", choices=choices, default=["weak", "strong", "step"])
    parser.add_argument("--ours", nargs="+", default=[sys.executable], metavar="PYTHON")
    parser.add_argument("--peers", nargs="+", choices=peers, default=peers, help="of the step")
    parser.add_argument("--labelled", type=int, default=16, help="images of a step")
    parser.add_argument("--malloc", choices=list(MALLOC), default="tuned")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--least", type=float, default=0.5, help="seconds of a turn")
    options = parser.parse_args()
    import peers_consistency as peers

    for what in options.what:
        if what == "check":
            run = our_run("step", options.labelled)
            peers.check(run, options.labelled, RATIO * options.labelled)
        elif what in AUGMENTED:
            compare(what, options, BATCH)
        else:
            whole = (1 + 2 * RATIO) * options.labelled
            compare(what, options, 2e-9 * 2048**3 if what == "peak" else peers.gigaflops(whole))


if __name__ == "__main__":
    work() if sys.argv[1:2] == ["--worker"] else main()
