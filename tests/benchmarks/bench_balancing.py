"""Times one training step against TorchJD and LibMTL, interleaved, and prints the ratios.

    pip install -e ".[bench]" && python tests/benchmarks/bench_balancing.py --tasks 2 8 40
    python tests/benchmarks/bench_balancing.py --net cnn --tasks 3 --methods Equal UPGrad
    python tests/benchmarks/bench_balancing.py --memory --tasks 2 40

Each library runs in a process of its own, one at a time, in turns; a ratio is of one turn, and
its median and range over the turns are printed, with the seconds of a step. Below 1 we are
faster. Our step is the whole of it (batch from the key, forward, balancing, Adam, averages), in
blocks of 64 under `lax.scan`; theirs has its batch in memory and fused Adam. `ViewRequests` is ours
with weights of one: the K passes that every aggregator pays, to see what it costs beside them.
`--memory` prints what XLA says that our step needs, rows going back all at once or one by one.
"""

import argparse
import dataclasses
import statistics
import subprocess
import sys
import time

from mtl_jax.core.balancing import GramWeighting

CLASSES, WIDTH = 10, 256
BATCH = {"mlp": 128, "cnn": 32, "resnet18": 32}
METHODS = ("Equal", "Passes", "FAMO", "PCGrad", "MGDA", "CAGrad", "NashMTL", "UPGrad", "IMTLG",
           "AlignedMTL")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Passes(GramWeighting):
    """Weights of one at the price of K passes."""

    def init(self, num_tasks):
        """No state."""
        return ()

    def weigh_gram(self, gram, state, key):
        """Ones, which still wait for the Gram matrix."""
        return 1.0 + 0.0 * gram[0], state


def our_run(method: str, tasks: int, net: str):
    """Our run: a net, its heads, and a method."""
    import numpy as np

    from mtl_jax import aggregation, data, losses, metrics, nets, optimizers, weighting
    from mtl_jax.config.run import Run
    from mtl_jax.config.task import Task

    draw = np.random.default_rng(0)
    names = [f"task{i}" for i in range(tasks)]
    shape = (8, 8, 1) if net == "mlp" else (32, 32, 3)
    part = {"inputs": draw.random((BATCH[net], *shape), np.float32)}
    part |= {name: draw.integers(CLASSES, size=BATCH[net], dtype=np.int32) for name in names}
    trunks = {
        "mlp": nets.MLP((WIDTH, WIDTH)),
        "cnn": nets.CNN((32, 32, 32)),
        "resnet18": nets.ResNet(18),
    }
    methods = {**vars(weighting), **vars(aggregation), "Passes": Passes}
    return Run(
        name="bench",
        data=data.Arrays(part, part, part),
        tasks=tuple(
            Task(
                name=n,
                num_outputs=CLASSES,
                loss=losses.cross_entropy,
                metrics=(metrics.Accuracy(),),
            )
            for n in names
        ),
        trunk=trunks[net],
        balance=methods[method](),
        optimizer=optimizers.Adam(1e-3),
        batch_size=BATCH[net],
        steps=10**6,
    )


def ours(method: str, tasks: int, net: str):
    """Our step, in blocks, and with LAPACK in one thread, as the launcher runs it."""
    import jax

    from mtl_jax.runner.blas_threads import limit_blas_threads
    from mtl_jax.runner.compiled_run import compile_run
    from mtl_jax.storage.run_data import load_run_data

    run, block = our_run(method, tasks, net), 64 if net == "mlp" else 4
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train)
    state, given = [made.init(None)], made.put_data(prepared.train)
    limit_blas_threads()

    def steps(count: int) -> None:
        for _ in range(max(1, count // block)):
            state[0], _ = made.train_steps(state[0], given, block)
        jax.block_until_ready(state[0])

    return steps, block


def memory(method: str, tasks: int, net: str, chunk: int | None) -> float:
    """Megabytes that one step of ours needs for itself."""
    from mtl_jax.config.execution import Execution
    from mtl_jax.runner.compiled_run import compile_run
    from mtl_jax.storage.run_data import load_run_data

    run = our_run(method, tasks, net).replace(execution=Execution(jacobian_chunk_size=chunk))
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train)
    given = made.put_data(prepared.train)
    compiled = made.train_steps.lower(made.abstract_init(None), given, 1).compile()
    return compiled.memory_analysis().temp_size_in_bytes / 1e6


def torch_trunk(net: str):
    """The same trunk in torch, its features and an input."""
    import torch

    if net == "mlp":
        layers = [torch.nn.Linear(64, WIDTH), torch.nn.ReLU(), torch.nn.Linear(WIDTH, WIDTH)]
        return torch.nn.Sequential(*layers, torch.nn.ReLU()), WIDTH, torch.rand(BATCH[net], 64)
    # As the published baseline: the faster layout of torch's on a CPU.
    images = torch.rand(BATCH[net], 3, 32, 32).to(memory_format=torch.channels_last)
    if net == "resnet18":
        return torch_resnet().to(memory_format=torch.channels_last), 512, images
    layers, width = [], 3
    for _ in range(3):
        layers += [torch.nn.Conv2d(width, 32, 3, padding=1), torch.nn.BatchNorm2d(32)]
        layers += [torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
        width = 32
    layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()]
    return torch.nn.Sequential(*layers).to(memory_format=torch.channels_last), 32, images


def torch_resnet():
    """ResNet-18 with a stem for small images."""
    from torch import nn

    def normed(old, new, size, stride):
        conv = nn.Conv2d(old, new, size, stride, size // 2, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(new))

    class Block(nn.Module):
        def __init__(self, old, new, stride):
            super().__init__()
            self.inner = nn.Sequential(
                normed(old, new, 3, stride), nn.ReLU(), normed(new, new, 3, 1)
            )
            self.skip = nn.Identity() if old == new else normed(old, new, 1, stride)

        def forward(self, x):
            return nn.functional.relu(self.inner(x) + self.skip(x))

    layers, width = [normed(3, 64, 3, 1), nn.ReLU()], 64
    for group in range(4):
        for at in range(2):
            layers.append(Block(width, 64 * 2**group, 2 if group and not at else 1))
            width = 64 * 2**group
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def torch_parts(tasks: int, net: str):
    """The same net and data in torch."""
    import torch

    torch.set_num_threads(2)
    torch.manual_seed(0)
    trunk, width, images = torch_trunk(net)
    heads = torch.nn.ModuleList(torch.nn.Linear(width, CLASSES) for _ in range(tasks))
    parameters = [*trunk.parameters(), *heads.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-3, fused=True)
    labels = [torch.randint(CLASSES, (BATCH[net],)) for _ in range(tasks)]
    loss = torch.nn.functional.cross_entropy
    return trunk, heads, optimizer, images, labels, loss


def torchjd(method: str, tasks: int, net: str):
    """TorchJD: a plain backward pass for scalarisations, autojac for the rest."""
    import torch
    import torchjd.aggregation as aggregators
    from torchjd.autojac import jac_to_grad, mtl_backward
    from torchjd.scalarization import FAMO

    trunk, heads, optimizer, images, labels, loss = torch_parts(tasks, net)
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


def libmtl(method: str, tasks: int, net: str):
    """LibMTL's weighting on the same net (its trainer left out)."""
    import types

    import torch

    trunk, heads, optimizer, images, labels, loss = torch_parts(tasks, net)
    # Its package imports a module that today's torchvision has not; nothing here uses it.
    stubs = ("torchvision", "torchvision.models", "torchvision.models.utils")
    made = {name: types.ModuleType(name) for name in stubs}
    made[stubs[2]].load_state_dict_from_url = None
    sys.modules.update(made)
    import LibMTL.weighting as theirs

    names = {"Equal": "EW", "IMTLG": "IMTL", "NashMTL": "Nash_MTL", "AlignedMTL": "Aligned_MTL"}
    kind = getattr(theirs, names.get(method, method))

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
    side, method, tasks, net = sys.argv[2:6]
    steps, unit = SIDES[side](method, int(tasks), net)
    steps(2 * unit)
    print(unit, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        steps(int(line))
        print(time.perf_counter() - began, flush=True)


class Worker:
    """A side in a process of its own; `broken` says why it has no such method."""

    def __init__(self, python: str, side: str, method: str, tasks: int, net: str):
        command = [python, __file__, "--worker", side, method, str(tasks), net]
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


def compare(method: str, tasks: int, options: argparse.Namespace) -> None:
    """Prints the ratio of our step to each peer's."""
    pythons = {side: options.ours if side == "ours" else sys.executable for side in options.sides}
    workers = {side: Worker(py, side, method, tasks, options.net) for side, py in pythons.items()}
    there = {side: worker for side, worker in workers.items() if worker.broken is None}
    for worker in there.values():
        worker.settle(options.least)
    found = {side: [] for side in there}
    for _ in range(options.turns):
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
    parser.add_argument("--net", choices=list(BATCH), default="mlp")
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--ours", default=sys.executable, help="a Python with another JAX, for us")
    parser.add_argument("--memory", action="store_true", help="of our step, instead of times")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--least", type=float, default=0.3, help="seconds of a turn")
    options = parser.parse_args()
    for tasks in options.tasks:
        for method in options.methods:
            if options.memory:
                whole, chunked = (memory(method, tasks, options.net, chunk) for chunk in (None, 1))
                print(f"{method:12} K={tasks:<3} {whole:8.2f} MB, one by one {chunked:8.2f} MB")
            else:
                compare(method, tasks, options)


if __name__ == "__main__":
    work() if sys.argv[1:2] == ["--worker"] else main()
