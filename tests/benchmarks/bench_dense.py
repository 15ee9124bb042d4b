"""Times a training step of NYUv2's three tasks against LibMTL's trainer, interleaved, with ratios.

    pip install -e ".[bench]" && python tests/benchmarks/bench_dense.py
    python tests/benchmarks/bench_dense.py --methods Equal --size 288 384 --batch 2 --turns 5

Segmentation of 13 classes, depth and surface normals on MTAN's SegNet with its heads, random
images and labels of which a tenth is missing, Adam. Each side runs in a process of its own, one
at a time, in turns; a ratio is of one turn, and its median and range over the turns are printed,
with the median and range of the seconds of a step. Below 1 we are faster. That the nets have as
many parameters is checked.

Our step is the whole of it (batch from the key, forward, balancing, Adam, averages). Theirs is
LibMTL's `Trainer.train` with its batch in memory, on metrics that do nothing and without its
evaluation; both layouts of PyTorch are timed ("last" has channels last).
"""

import argparse
import contextlib
import functools
import io
import statistics
import subprocess
import sys
import time
import types

CLASSES = 13
OUTPUTS = {"segmentation": CLASSES, "depth": 1, "normals": 3}
METHODS = ("Equal", "PCGrad", "MGDA", "CAGrad")
WIDTHS = (64, 128, 256, 512, 512)


def arrays(size: tuple[int, int], batch: int) -> dict:
    """Random images with labels, of which a tenth of the pixels have none."""
    import numpy as np

    draw = np.random.default_rng(0)
    shape = (batch, *size)
    missing = draw.random(shape) < 0.1
    normals = draw.normal(size=(*shape, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    found = {
        "inputs": draw.random((*shape, 3)),
        "segmentation": np.where(missing, -1, draw.integers(CLASSES, size=shape)),
        "depth": np.where(missing, np.nan, draw.uniform(1, 9, shape))[..., None],
        "normals": np.where(missing[..., None], np.nan, normals),
    }
    return {
        name: each.astype(np.int32 if name == "segmentation" else np.float32)
        for name, each in found.items()
    }


def our_run(method: str, size: tuple[int, int], batch: int, widths: tuple[int, ...] = WIDTHS):
    """Our run of a method."""
    from mtl_jax import aggregation, data, losses, metrics, nets, optimizers, weighting
    from mtl_jax.config.run import Run
    from mtl_jax.config.task import Task

    kinds = {
        "segmentation": (losses.cross_entropy, metrics.MeanIoU()),
        "depth": (losses.absolute_error, metrics.MeanAbsoluteError()),
        "normals": (losses.cosine_distance, metrics.MeanAngle()),
    }
    part = arrays(size, batch)
    return Run(
        name="bench",
        data=data.Arrays(part, part, part),
        tasks=tuple(
            Task(name=name, head=nets.heads.SegNetHead(OUTPUTS[name]), loss=loss, metrics=(metric,))
            for name, (loss, metric) in kinds.items()
        ),
        trunk=nets.SegNet(widths),
        balance={**vars(weighting), **vars(aggregation)}[method](),
        optimizer=optimizers.Adam(1e-4),
        batch_size=batch,
        steps=10**6,
    )


def ours(method: str, size: tuple[int, int], batch: int):
    """Our step, as the launcher runs it, and the number of parameters."""
    import jax

    from mtl_jax.core.tree import num_params
    from mtl_jax.runner.blas_threads import limit_blas_threads
    from mtl_jax.runner.compiled_run import compile_run
    from mtl_jax.storage.run_data import load_run_data

    run = our_run(method, size, batch)
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train)
    state, given = [made.init(None)], made.put_data(prepared.train)
    limit_blas_threads()

    def steps(count: int) -> None:
        for _ in range(count):
            state[0], _ = made.train_steps(state[0], given, 1)
        jax.block_until_ready(state[0])

    return steps, num_params(state[0].params)


def torch_nets(widths: tuple[int, ...] = WIDTHS):
    """SegNet and its heads in torch, as our `nets.SegNet` and `nets.heads.SegNetHead`."""
    import torch
    from torch import nn

    def convolutions(old, new, depth):
        layers = []
        for index in range(depth):
            conv = nn.Conv2d(old if index == 0 else new, new, 3, padding=1)
            layers += [conv, nn.BatchNorm2d(new), nn.ReLU(inplace=True)]
        return nn.Sequential(*layers)

    class SegNet(nn.Module):
        def __init__(self):
            super().__init__()
            depths = [3 if level > 1 else 2 for level in range(len(widths))]
            inner = (3, *widths[:-1])
            outer = (widths[0], *widths[:-1])
            self.encoder = nn.ModuleList(map(convolutions, inner, widths, depths))
            self.decoder = nn.ModuleList(map(convolutions, widths, outer, depths))

        def forward(self, x):
            taken = []
            for level in self.encoder:
                x = level(x)
                size = x.shape
                x, index = nn.functional.max_pool2d(x, 2, return_indices=True)
                taken.append((index, size))
            for level, (index, size) in zip(reversed(self.decoder), reversed(taken), strict=True):
                x = level(nn.functional.max_unpool2d(x, index, 2, output_size=size[2:]))
            return x

    def head(outputs):
        width = widths[0]
        return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, outputs, 1))

    return SegNet, torch.nn.ModuleDict({name: head(count) for name, count in OUTPUTS.items()})


def torch_losses() -> dict:
    """The means of the tasks' losses over the known pixels."""
    import torch

    def depth(outputs, labels):
        known = ~labels.isnan()
        return torch.where(known, (outputs - labels.nan_to_num()).abs(), 0.0).sum() / known.sum()

    def normals(outputs, labels):
        known = ~labels.isnan().any(1)
        cosine = torch.nn.functional.cosine_similarity(outputs, labels.nan_to_num())
        return torch.where(known, 1 - cosine, 0.0).sum() / known.sum()

    return {
        "segmentation": torch.nn.CrossEntropyLoss(ignore_index=-1),
        "depth": depth,
        "normals": normals,
    }


def torch_arrays(size: tuple[int, int], batch: int) -> tuple:
    """The images, channels first, and the labels, for torch."""
    import torch

    parts = {name: torch.from_numpy(array) for name, array in arrays(size, batch).items()}
    parts = {
        n: x.long() if n == "segmentation" else x.permute(0, 3, 1, 2) for n, x in parts.items()
    }
    return parts.pop("inputs"), parts


class Memory:
    """A loader that gives the same batch a number of times."""

    def __init__(self, batch, count: int):
        self.batch, self.count = batch, count

    def __len__(self):
        return self.count

    def __iter__(self):
        return self

    def __next__(self):
        inputs, labels = self.batch
        return inputs, dict(labels)

    next = __next__  # LibMTL calls it by its old name.


def libmtl(method: str, size: tuple[int, int], batch: int, channels_last: bool = False):
    """LibMTL's trainer, and the number of parameters."""
    import torch

    torch.set_num_threads(2)
    torch.manual_seed(0)
    # Its package imports a module that today's torchvision has not; nothing here uses it.
    stubs = ("torchvision", "torchvision.models", "torchvision.models.utils")
    made = {name: types.ModuleType(name) for name in stubs}
    made[stubs[2]].load_state_dict_from_url = None
    sys.modules.update(made)
    import LibMTL
    from LibMTL.architecture import HPS
    from LibMTL.loss import AbsLoss

    class Loss(AbsLoss):
        def __init__(self, loss):
            super().__init__()
            self.compute_loss = loss

    class Sharing(HPS):
        def zero_grad_share_params(self):  # None, today's default, would not be trained.
            self.encoder.zero_grad(set_to_none=False)

    class Metric(LibMTL.metrics.AbsMetric):
        def update_fun(self, outputs, labels):
            """Nothing."""

        def score_fun(self):
            return [0.0]

    class Trainer(LibMTL.Trainer):
        def _prepare_model(self, *args):
            self.device = torch.device("cpu")
            super()._prepare_model(*args)

        def test(self, *args, **kwargs):
            """Nothing."""

    encoder, decoders = torch_nets()
    inputs, parts = torch_arrays(size, batch)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    inputs = inputs.contiguous(memory_format=layout)
    own = {name: Loss(loss) for name, loss in torch_losses().items()}
    options = {"MGDA": {"mgda_gn": "none"}, "CAGrad": {"calpha": 0.5, "rescale": 0}}
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = Trainer(
            task_dict={
                name: {"metrics": ["none"], "metrics_fn": Metric(), "loss_fn": loss, "weight": [0]}
                for name, loss in own.items()
            },
            weighting=getattr(LibMTL.weighting, {"Equal": "EW"}.get(method, method)),
            architecture=Sharing,
            encoder_class=encoder,
            decoders=decoders,
            rep_grad=False,
            multi_input=False,
            optim_param={"optim": "adam", "lr": 1e-4},
            scheduler_param=None,
            weight_args=options.get(method, {}),
            arch_args={},
        )

    def steps(count: int) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train(Memory((inputs, parts), count), None, 1)

    return steps, sum(p.numel() for p in trainer.model.parameters())


SIDES = {
    "ours": ours,
    "libmtl": libmtl,
    "libmtl-last": functools.partial(libmtl, channels_last=True),
}


def work() -> None:
    """A worker: makes a side's step, then runs as many as each line of its input says."""
    side, method, *numbers = sys.argv[2:]
    height, width, batch = map(int, numbers)
    steps, num_params = SIDES[side](method, (height, width), batch)
    steps(2)
    print(num_params, flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        steps(int(line))
        print(time.perf_counter() - began, flush=True)


class Worker:
    """A side in a process of its own; `broken` says why it does not run."""

    def __init__(self, side: str, method: str, options: argparse.Namespace):
        python = options.ours if side == "ours" else sys.executable
        numbers = map(str, (*options.size, options.batch))
        self.process = subprocess.Popen(
            [python, __file__, "--worker", side, method, *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = self.process.stdout.readline()
        self.broken = None if first else self.process.stderr.read().strip().splitlines()[-1]
        self.num_params = int(first or 0)

    def time(self, count: int) -> float:
        """Seconds of a step, over `count` of them."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline()) / count

    def close(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def compare(method: str, options: argparse.Namespace) -> None:
    """Prints the ratio of our step to the peer's."""
    workers = {side: Worker(side, method, options) for side in options.sides}
    there = {side: worker for side, worker in workers.items() if worker.broken is None}
    sizes = {side: worker.num_params for side, worker in there.items()}
    assert len({*sizes.values()}) == 1, f"the nets are not the same: {sizes}"
    found = {side: [] for side in there}
    for _ in range(options.turns):
        for side, worker in there.items():
            found[side].append(worker.time(options.steps))
    for worker in there.values():
        worker.close()
    for side, times in found.items():
        ratios = [a / b for a, b in zip(found["ours"], times, strict=True)]
        print(
            f"{method:8} {side:12} {statistics.median(times):7.3f} s "
            f"[{min(times):.3f}-{max(times):.3f}]   ratio {statistics.median(ratios):5.2f} "
            f"[{min(ratios):.2f}-{max(ratios):.2f}]",
            flush=True,
        )
    for side in workers.keys() - there.keys():
        print(f"{method:8} {side:12} not there: {workers[side].broken}", flush=True)


def main() -> None:
    """Reads the command line and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", nargs="+", default=["Equal", "PCGrad"], choices=METHODS)
    parser.add_argument("--size", type=int, nargs=2, default=[64, 96], help="height and width")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--ours", default=sys.executable, help="a Python with another JAX, for us")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2, help="of a turn")
    options = parser.parse_args()
    for method in options.methods:
        compare(method, options)


if __name__ == "__main__":
    work() if sys.argv[1:2] == ["--worker"] else main()
