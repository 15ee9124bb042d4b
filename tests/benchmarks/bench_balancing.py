"""Times one training step against TorchJD and LibMTL, interleaved, and prints the ratios.

    pip install -e ".[bench]" && python tests/benchmarks/bench_balancing.py --tasks 2 8 40

Each library runs in a process of its own, one at a time, in turns; a ratio is of one turn, and
its median and range over the turns are printed, with the seconds of a step. Below 1 we are
faster. Our step is the whole of it (batch from the key, forward, balancing, Adam, averages), in
blocks of 64 under `lax.scan`; theirs has its batch in memory and fused Adam.
"""

import argparse
import statistics
import subprocess
import sys
import time

BATCH, WIDTH, CLASSES, INPUTS = 128, 256, 10, 64
METHODS = ("Equal", "FAMO", "PCGrad", "MGDA", "CAGrad", "NashMTL", "UPGrad", "IMTLG", "AlignedMTL")


def ours(method: str, tasks: int):
    """Our step: an MLP, its heads, and a method."""
    import jax
    import numpy as np

    from mtl_jax import aggregation, data, losses, metrics, nets, optimizers, weighting
    from mtl_jax.host.layout import program
    from mtl_jax.host.prepare import prepare
    from mtl_jax.run import Run, Task

    draw = np.random.default_rng(0)
    names = [f"task{i}" for i in range(tasks)]
    part = {"image": draw.random((BATCH, 8, 8, 1), np.float32)}
    part |= {name: draw.integers(CLASSES, size=BATCH, dtype=np.int32) for name in names}
    run = Run(
        name="bench",
        data=data.Arrays(part, part, part),
        tasks=tuple(
            Task(name=n, outputs=CLASSES, loss=losses.cross_entropy, metric=metrics.Accuracy())
            for n in names
        ),
        trunk=nets.MLP((WIDTH, WIDTH)),
        balance=getattr(weighting if hasattr(weighting, method) else aggregation, method)(),
        optimizer=optimizers.Adam(1e-3),
        batch=BATCH,
        steps=10**6,
    )
    prepared = prepare(run)
    made = program(run, prepared.given)
    state, given = [made.init(None)], made.given(prepared.given)

    def steps(count: int) -> None:
        for _ in range(max(1, count // 64)):
            state[0], _ = made.advance(state[0], given, 64)
        jax.block_until_ready(state[0])

    return steps, 64


def torch_parts(tasks: int):
    """The same net and data in torch."""
    import torch

    torch.set_num_threads(2)
    torch.manual_seed(0)
    trunk = torch.nn.Sequential(
        torch.nn.Linear(INPUTS, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, WIDTH),
        torch.nn.ReLU(),
    )  # fmt: skip
    heads = torch.nn.ModuleList(torch.nn.Linear(WIDTH, CLASSES) for _ in range(tasks))
    parameters = [*trunk.parameters(), *heads.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-3, fused=True)
    images = torch.rand(BATCH, INPUTS)
    labels = [torch.randint(CLASSES, (BATCH,)) for _ in range(tasks)]
    loss = torch.nn.functional.cross_entropy
    return trunk, heads, optimizer, images, labels, loss


def torchjd(method: str, tasks: int):
    """TorchJD: a plain backward pass for scalarisations, autojac for the rest."""
    import torch
    import torchjd.aggregation as aggregators
    from torchjd.autojac import jac_to_grad, mtl_backward
    from torchjd.scalarization import FAMO

    trunk, heads, optimizer, images, labels, loss = torch_parts(tasks)
    plain = {"Equal": lambda: lambda each: each.sum(), "FAMO": lambda: FAMO(tasks)}
    settings = {"NashMTL": {"n_tasks": tasks}, "CAGrad": {"c": 0.5}}
    make = plain.get(method) or getattr(aggregators, method)
    combine = make(**settings.get(method, {}))

    def step():
        optimizer.zero_grad()
        features = trunk(images)
        each = [loss(h(features), y) for h, y in zip(heads, labels, strict=True)]
        if method in plain:
            combine(torch.stack(each)).backward()
        else:
            mtl_backward(each, features=features)
            jac_to_grad(trunk.parameters(), combine)
        optimizer.step()
        if method == "FAMO":
            with torch.no_grad():
                features = trunk(images)
                each = [loss(h(features), y) for h, y in zip(heads, labels, strict=True)]
            combine.update(torch.stack(each))

    return (lambda count: [step() for _ in range(count)]), 1


def libmtl(method: str, tasks: int):
    """LibMTL's weighting on the same net (its trainer left out)."""
    import types

    import torch

    # Its package imports a module that today's torchvision has not; nothing here uses it.
    stubs = ("torchvision", "torchvision.models", "torchvision.models.utils")
    made = {name: types.ModuleType(name) for name in stubs}
    made[stubs[2]].load_state_dict_from_url = None
    sys.modules.update(made)
    import LibMTL.weighting as theirs

    names = {"Equal": "EW", "IMTLG": "IMTL", "NashMTL": "Nash_MTL", "AlignedMTL": "Aligned_MTL"}
    kind = getattr(theirs, names.get(method, method))
    trunk, heads, optimizer, images, labels, loss = torch_parts(tasks)

    class Balanced(kind):
        def __init__(self):
            super().__init__()
            self.trunk, self.heads = trunk, heads
            self.rep_grad, self.task_num, self.device = False, tasks, torch.device("cpu")
            self.task_name = [f"task{i}" for i in range(tasks)]

        def get_share_params(self):
            return self.trunk.parameters()

        def zero_grad_share_params(self):
            self.trunk.zero_grad(set_to_none=False)

    model = Balanced()
    model.init_param()
    options = {"MGDA": {"mgda_gn": "none"}, "CAGrad": {"calpha": 0.5, "rescale": 0}}

    def step():
        optimizer.zero_grad(set_to_none=False)
        features = model.trunk(images)
        each = [loss(h(features), y) for h, y in zip(model.heads, labels, strict=True)]
        model.backward(torch.stack(each), **options.get(method, {}))
        optimizer.step()

    return (lambda count: [step() for _ in range(count)]), 1


SIDES = {"ours": ours, "torchjd": torchjd, "libmtl": libmtl}


def work() -> None:
    """A worker: makes a side's step, then runs as many as each line of its input says."""
    side, method, tasks = sys.argv[2:5]
    steps, unit = SIDES[side](method, int(tasks))
    steps(2 * unit)
    print(unit, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        steps(int(line))
        print(time.perf_counter() - began, flush=True)


class Worker:
    """A side in a process of its own; `broken` says why it has no such method."""

    def __init__(self, side: str, method: str, tasks: int):
        command = [sys.executable, __file__, "--worker", side, method, str(tasks)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = self.process.stdout.readline()
        self.broken = None if first else self.process.stderr.read().strip().splitlines()[-1]
        self.count = int(first or 1)

    def time(self, count: int) -> float:
        """Seconds of a step, over `count` of them."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline()) / count

    def settle(self, least: float) -> None:
        """Finds a number of steps that takes at least so many seconds."""
        while (each := self.time(self.count)) * self.count < least:
            self.count = max(2 * self.count, int(1.1 * least / each / self.count) * self.count)

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def compare(method: str, tasks: int, turns: int, least: float) -> None:
    """Prints the ratio of our step to each peer's."""
    workers = {side: Worker(side, method, tasks) for side in SIDES}
    there = {side: worker for side, worker in workers.items() if worker.broken is None}
    for worker in there.values():
        worker.settle(least)
    found = {side: [] for side in there}
    for _ in range(turns):
        for side, worker in there.items():
            found[side].append(worker.time(worker.count))
    for worker in there.values():
        worker.close()
    mine = found["ours"]
    for side, times in found.items():
        ratios = [a / b for a, b in zip(mine, times, strict=True)]
        print(
            f"{method:12} K={tasks:<3} {side:8} {1e3 * statistics.median(times):8.3f} ms   ratio "
            f"{statistics.median(ratios):5.2f} [{min(ratios):.2f}-{max(ratios):.2f}]",
            flush=True,
        )
    for side in workers.keys() - there.keys():
        print(f"{method:12} K={tasks:<3} {side:8} not there: {workers[side].broken}", flush=True)


def main() -> None:
    """Reads the command line and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=[2, 8, 40])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--least", type=float, default=0.3, help="seconds of a turn")
    options = parser.parse_args()
    for tasks in options.tasks:
        for method in options.methods:
            compare(method, tasks, options.turns, options.least)


if __name__ == "__main__":
    work() if sys.argv[1:2] == ["--worker"] else main()
