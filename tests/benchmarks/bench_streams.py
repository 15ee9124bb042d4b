"""Times the reading of JPEG files into arrays, beside the decoder alone, grain and PyTorch.

    PYTHONPATH=. python tests/benchmarks/bench_streams.py --turns 3

Writes a folder of small JPEG files once (`--images`, `--side`), and reads all of them in random
order with 2 processes, in turns: by this package (`RowReader`, as a streamed run does), by Pillow
alone in two processes that send nothing, by grain (`mp_prefetch`) and by PyTorch's `DataLoader`,
each if it is installed. A turn is timed from the second batch on, so without the start of the
processes. Prints images a second of each, median and range, and the ratio to ours of a turn.
Then a run trains on the folder (`--train`): throughput, and the share of time it waits for data.
"""

import argparse
import concurrent.futures
import multiprocessing
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

WORKERS, BATCH = 2, 256


def write_images(root: pathlib.Path, count: int, side: int) -> list[str]:
    """Writes JPEG files of ten classes, in the layout of `data.Folder`; those of train."""
    rng = np.random.default_rng(0)
    files = []
    for part, size in (("train", count), ("validation", 200), ("test", 200)):
        for at in range(size):
            folder = root / part / f"{at % 10}"
            folder.mkdir(parents=True, exist_ok=True)
            small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            small[..., at % 3] = 25 * (at % 10)
            image = Image.fromarray(small).resize((side, side), Image.Resampling.BILINEAR)
            image.save(folder / f"{at}.jpg", quality=90)
            files += [str(folder / f"{at}.jpg")] * (part == "train")
    return files


def decode(file: str) -> np.ndarray:
    """Decodes an image by Pillow alone."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def batches_of(files: list[str]) -> list[list[str]]:
    """Files in batches."""
    return [files[at : at + BATCH] for at in range(0, len(files), BATCH)]


def by_row_reader(files: list[str]) -> Iterator[np.ndarray]:
    """Batches as a streamed run reads them."""
    from mtl_jax.data.files.file_rows import image_rows
    from mtl_jax.runner.row_reader import RowReader

    with Image.open(files[0]) as image:
        rows = image_rows(files, image.size[::-1])
    reader = RowReader([rows], len(files), WORKERS)
    try:
        order = np.arange(len(files))
        for (batch,) in reader.read([rows], np.split(order, range(BATCH, len(files), BATCH))):
            yield batch
    finally:
        reader.close()


def decode_all(files: list[str]) -> int:
    """Decodes files; returns their number."""
    return sum(decode(file) is not None for file in files)


def by_decoder(files: list[str]) -> Iterator[int]:
    """Numbers of images that two processes decoded and threw away."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(WORKERS, context) as pool:
        yield from pool.map(decode_all, batches_of(files))


class Files:
    """Decoded images, as grain and PyTorch read them."""

    def __init__(self, files: list[str]):
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> np.ndarray:
        return decode(self.files[index])


def by_grain(files: list[str]) -> Iterator[np.ndarray]:
    """Batches by grain's worker processes."""
    import grain
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    dataset = grain.MapDataset.source(Files(files)).batch(BATCH).to_iter_dataset()
    options = grain.MultiprocessingOptions(WORKERS, per_worker_buffer_size=16)
    yield from dataset.mp_prefetch(options)


def by_torch(files: list[str]) -> Iterator[np.ndarray]:
    """Batches by PyTorch's worker processes."""
    import torch.utils.data

    yield from torch.utils.data.DataLoader(
        Files(files), BATCH, num_workers=WORKERS, prefetch_factor=16
    )


READERS: dict[str, Callable] = {
    "RowReader": by_row_reader,
    "decoder alone": by_decoder,
    "grain": by_grain,
    "PyTorch": by_torch,
}


def rate(read: Callable, files: list[str]) -> float:
    """Images a second from the second batch on."""
    batches = read(files)
    next(batches)
    start = time.perf_counter()
    for _ in batches:
        pass
    return (len(files) - BATCH) / (time.perf_counter() - start)


def installed(name: str) -> bool:
    """Whether the package of a reader is installed."""
    import importlib.util

    package = {"grain": "grain", "PyTorch": "torch"}.get(name)
    return package is None or importlib.util.find_spec(package) is not None


def compare(files: list[str], turns: int) -> None:
    """Times all readers in turns, and prints their rates."""
    rng, rates = np.random.default_rng(0), {name: [] for name in READERS if installed(name)}
    for _ in range(turns):
        order = [files[at] for at in rng.permutation(len(files))]
        for name, found in rates.items():
            found.append(rate(READERS[name], order))
    for name, found in rates.items():
        ratios = [ours / other for ours, other in zip(rates["RowReader"], found, strict=True)]
        print(
            f"{name:14} {statistics.median(found):9,.0f} images/s "
            f"[{min(found):,.0f}, {max(found):,.0f}], ours / this "
            f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        )


def train(root: pathlib.Path, side: int) -> None:
    """Trains a linear model on the folder, streamed, and prints throughput and waiting."""
    from mtl_jax import losses, metrics, nets, optimizers, weighting
    from mtl_jax.config.execution import Execution
    from mtl_jax.config.experiment import Experiment
    from mtl_jax.config.run import Run
    from mtl_jax.config.run_groups import Evaluation
    from mtl_jax.config.task import Task
    from mtl_jax.data import Folder
    from mtl_jax.runner import sweep
    from mtl_jax.storage.files import read_json

    task = Task(
        name="label", num_outputs=10, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),)
    )
    run = Run(
        name="streamed",
        data=Folder(str(root), (side, side)),
        tasks=(task,),
        trunk=nets.MLP((32,)),
        balance=weighting.Equal(),
        optimizer=optimizers.SGD(0.01),
        batch_size=BATCH,
        steps=600,
        evaluation=Evaluation(every=300, checkpoint_every=600),
        num_seeds=1,
        execution=Execution(steps_per_call=20, data_location="disk", num_workers=WORKERS),
    )
    sweep.write_report = lambda *_: None
    with tempfile.TemporaryDirectory() as out:
        assert sweep.sweep(Experiment(runs=(run,)), Experiment(runs=(run,)), pathlib.Path(out)) == 0
        timing = read_json(pathlib.Path(out) / "streamed" / "timing.json")
    print(
        f"a run: {timing['examples_per_second']:,.0f} examples/s, "
        f"{timing['wait_share']:.0%} of the time waiting for data"
    )


def main() -> None:
    """Writes the files, and times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--train", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        files = write_images(root, options.images, options.side)
        compare(files, options.turns)
        if options.train:
            train(root, options.side)


if __name__ == "__main__":
    main()
