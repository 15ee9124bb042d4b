"""Times our steps against PyTorch's on the same device, in turns, and prints all ratios.

    bash tests/benchmarks/on_gpu.sh          # as it stands, on a GPU: at most 8 minutes
    bash tests/benchmarks/on_gpu.sh --tiny   # small sizes, for a CPU: about two minutes

Three steps with equal weights: `mlp` is three tasks on two layers of 256 with a batch of 128, Adam;
`fixmatch` is WRN-28-2 on 64 labelled images of CIFAR's size and 448 weak and strong views, SGD;
`nyuv2` is SegNet with three heads on 2 images of 288 x 384, Adam. Ours is the whole step (batch
from the key, forward, backward, averages), in blocks under `lax.scan` on a GPU; PyTorch's is a
plain loop with its batch in memory, fused optimizers, averages and channels last, `eager` and
`compiled` (`torch.compile`). Neither augments, but for `views`: ours with FixMatch's crops and
RandAugment. `vmap` and `map` are ours with several seeds, vmapped and one after the other.

Each side runs in a process of its own, one at a time; a time is of a step and seed, a ratio that of
our time with one seed to the side's in a turn, median and range over the turns: below 1 ours is
faster. A last line has the ratio of vmapped to mapped seeds. float32 lets both sides use TF32,
JAX's default; bfloat16 is `Execution.precision`, and `torch.autocast`. What has no time left is
named; JAX's programs stay compiled for the next start.
"""

import argparse
import dataclasses
import functools
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import bench_balancing
import bench_consistency
import bench_dense

from mtl_jax.config.execution import Execution

SIDES = ("ours", "eager", "vmap", "map", "views", "compiled")
PEERS = ("eager", "compiled")
PRECISIONS = ("float32", "bfloat16")
HAS_PRECISION = "precision" in {field.name for field in dataclasses.fields(Execution)}
SEEDS = {"mlp": 8, "fixmatch": 4, "nyuv2": 2}
BLOCK = {"mlp": 100, "fixmatch": 10, "nyuv2": 10}  # Most steps of a call.
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
ENVIRONMENT = {
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # All sides share the device.
    "JAX_COMPILATION_CACHE_DIR": str(CACHE / "mtl_jax" / "benchmarks"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of the steps."""

    labelled: int = 64
    wide_resnet: tuple[int, int] = (28, 2)  # Depth and width.
    image: tuple[int, int] = (288, 384)
    segnet: tuple[int, ...] = (64, 128, 256, 512, 512)


TINY = Sizes(2, (10, 1), (24, 32), (4, 8))


class Stepper(NamedTuple):
    """A side: what takes steps, in blocks, of so many seeds and parameters a seed, and where."""

    steps: Callable[[int], Any]
    block: int
    seeds: int
    num_params: int
    device: str


def our_run(case: str, side: str, sizes: Sizes):
    """Our run of a case."""
    from mtl_jax import nets

    if case == "mlp":
        return bench_balancing.our_run("Equal", 3, "mlp")
    if case == "nyuv2":
        return bench_dense.our_run("Equal", sizes.image, 2, sizes.segnet)
    run = bench_consistency.our_run("views" if side == "views" else "step", sizes.labelled)
    return run.replace(trunk=nets.WideResNet(*sizes.wide_resnet))


def ours(case: str, side: str, precision: str, sizes: Sizes) -> Stepper:
    """Our step, as the launcher runs it."""
    import jax

    from mtl_jax.core.tree import num_params
    from mtl_jax.runner.compiled_run import compile_run
    from mtl_jax.runner.execution import default_execution
    from mtl_jax.storage.run_data import load_run_data

    run, seeds = our_run(case, side, sizes), SEEDS[case] if side in ("vmap", "map") else 1
    execution = default_execution(run, jax.default_backend())
    block = min(BLOCK[case], execution.steps_per_call)
    changes = {"seed_loop": side} if seeds > 1 else {}
    changes |= {} if precision == "float32" else {"precision": precision}
    execution = dataclasses.replace(execution, steps_per_call=block, **changes)
    run = run.replace(num_seeds=seeds, execution=execution)
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train)
    state, given = [made.init(None)], made.put_data(prepared.train)

    def steps(count: int) -> None:
        for _ in range(count // block):
            state[0], _ = made.train_steps(state[0], given, block)
        jax.block_until_ready(state[0])

    platform = {"gpu": "cuda"}.get(jax.default_backend(), jax.default_backend())
    return Stepper(steps, block, seeds, num_params(state[0].params) // seeds, platform)


def torch_mlp(sizes: Sizes):
    """The net, its optimizer, the loss of a batch, and the batch, in torch."""
    import torch

    trunk, heads, optimizer, images, labels, loss = bench_balancing.torch_parts(3, "mlp")

    def objective(images, *labels):
        features = trunk(images)
        return sum(loss(head(features), y) for head, y in zip(heads, labels, strict=True))

    return torch.nn.ModuleList([trunk, heads]), optimizer, objective, (images, *labels)


def torch_fixmatch(sizes: Sizes):
    """The same of FixMatch."""
    import peers_consistency as peers
    import torch

    net, unlabelled = peers.Net(False, *sizes.wide_resnet), bench_consistency.RATIO * sizes.labelled
    images = torch.rand(sizes.labelled + 2 * unlabelled, 3, 32, 32)
    labels = torch.randint(peers.CLASSES, (sizes.labelled,))
    objective = functools.partial(peers.fixmatch_loss, net, unlabelled=unlabelled)
    return net, peers.optimizer_of(net), objective, (images, labels)


def torch_nyuv2(sizes: Sizes):
    """The same of NYUv2."""
    import torch

    make_trunk, heads = bench_dense.torch_nets(sizes.segnet)
    trunk, losses = make_trunk(), bench_dense.torch_losses()
    images, labels = bench_dense.torch_arrays(sizes.image, 2)

    def objective(images, *labels):
        features = trunk(images)
        pairs = zip(losses.items(), labels, strict=True)
        return sum(loss(heads[name](features), y) for (name, loss), y in pairs)

    net = torch.nn.ModuleList([trunk, heads])
    optimizer = torch.optim.Adam(net.parameters(), 1e-4, fused=True)
    return net, optimizer, objective, (images, *(labels[name] for name in losses))


def theirs(case: str, side: str, precision: str, sizes: Sizes) -> Stepper:
    """A plain training loop in torch."""
    import torch

    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.benchmark = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    makes = {"mlp": torch_mlp, "fixmatch": torch_fixmatch, "nyuv2": torch_nyuv2}
    net, optimizer, objective, batch = makes[case](sizes)
    net.to(device, memory_format=torch.channels_last)
    batch = [part.to(device) for part in batch]
    if batch[0].ndim == 4:
        batch[0] = batch[0].contiguous(memory_format=torch.channels_last)
    parameters = list(net.parameters())
    averages = [p.detach().clone() for p in parameters]
    objective = torch.compile(objective) if side == "compiled" else objective

    def steps(count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
                loss = objective(*batch)
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(averages, parameters, 0.001)
        if device == "cuda":
            torch.cuda.synchronize()

    return Stepper(steps, 1, 1, sum(p.numel() for p in parameters), device)


def work() -> None:
    """A worker: makes a side, then takes as many steps as each line of its input says."""
    case, side, precision, size = sys.argv[2:]
    make = theirs if side in PEERS else ours
    made = make(case, side, precision, TINY if size == "tiny" else Sizes())
    for _ in range(3):
        made.steps(made.block)
    print(made.block, made.seeds, made.num_params, made.device, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        made.steps(int(line))
        print(time.perf_counter() - began, flush=True)


class Worker:
    """A side in a process of its own; `broken` says why it does not run."""

    def __init__(self, python: str, *arguments: str):
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (open as long as the process)
        self.process = subprocess.Popen(
            [python, __file__, "--worker", *arguments],
            env=ENVIRONMENT | os.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        first = self.process.stdout.readline().split()
        self.broken = "" if first else self.last_error()
        block, seeds, num_params, self.device = first or (1, 1, 0, "")
        self.count, self.seeds, self.num_params = int(block), int(seeds), int(num_params)

    def last_error(self) -> str:
        """The last line that the process printed as an error."""
        self.process.wait()
        self.errors.seek(0)
        return (self.errors.read().strip().splitlines() or ["it ended"])[-1]

    def time(self) -> float:
        """Seconds of a step and seed."""
        self.process.stdin.write(f"{self.count}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline()) / self.count / self.seeds

    def settle(self, least: float) -> None:
        """Sets the steps of a turn so that it takes about as long as asked."""
        seconds = self.time() * self.count * self.seeds
        self.count *= max(1, round(least / seconds))

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def start(case: str, precision: str, options: argparse.Namespace, stop: float) -> dict[str, Worker]:
    """The sides of a step that run; says why others do not."""
    made: dict[str, Worker] = {}
    for side in options.sides:
        if side == "views" and case != "fixmatch":
            continue
        why = "no time left"
        if time.monotonic() < stop:
            python = sys.executable if side in PEERS else options.ours
            worker = Worker(python, case, side, precision, "tiny" if options.tiny else "true")
            here = next(iter(made.values()), worker)
            other = f"on {worker.device}, not on {here.device}"
            why = worker.broken or (other if worker.device != here.device else "")
            if not why:
                assert worker.num_params == here.num_params, "the nets are not the same"
                worker.settle(options.least)
                made[side] = worker
        if why:
            print(f"{case:9} {precision:9} {side:9} not there: {why}", flush=True)
    return made


def compare(case: str, precision: str, options: argparse.Namespace, stop: float) -> None:
    """Prints the times of all sides of a step, and the ratios of ours to them."""
    workers = start(case, precision, options, stop)
    found = {side: [] for side in workers}
    for _ in range(options.turns):
        for side, worker in workers.items():
            found[side].append(worker.time())
    for worker in workers.values():
        worker.close()
    for side, times in found.items():
        seconds = f"{1e3 * statistics.median(times):9.3f} ms"
        where = f"{workers[side].seeds} seed(s) on {workers[side].device}"
        ratio = f"ratio {spread(found['ours'], times)}" if "ours" in found else ""
        print(f"{case:9} {precision:9} {side:9} {seconds} {where}   {ratio}", flush=True)
    if {"vmap", "map"} <= found.keys():
        ratio = spread(found["vmap"], found["map"])
        print(f"{case:9} {precision:9} vmapped to mapped seeds: ratio {ratio}", flush=True)


def spread(times: list[float], others: list[float]) -> str:
    """Median and range of the ratios of two sides, turn by turn."""
    ratios = [a / b for a, b in zip(times, others, strict=True)]
    return f"{statistics.median(ratios):6.3f} [{min(ratios):.3f}-{max(ratios):.3f}]"


def main() -> None:
    """Reads the command line and compares."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", choices=list(SEEDS), default=list(SEEDS))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=None)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--tiny", action="store_true", help="small sizes, without views, compiled")
    parser.add_argument("--ours", default=sys.executable, help="a Python with JAX, for us")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--least", type=float, default=0.3, help="seconds of a turn")
    parser.add_argument("--minutes", type=float, default=6.5, help="after which no side is started")
    options = parser.parse_args()
    options.sides = options.sides or (SIDES[:4] if options.tiny else SIDES)
    stop = time.monotonic() + 60 * options.minutes
    for precision in options.precisions:
        if precision != "float32" and not HAS_PRECISION:
            print(f"{precision}: not there, since Execution has no field precision", flush=True)
            continue
        for case in options.cases:
            compare(case, precision, options, stop)


if __name__ == "__main__":
    work() if sys.argv[1:2] == ["--worker"] else main()
