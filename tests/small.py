"""A small learnable problem, and runs on it that differ by one line."""

import numpy as np

from mtl_jax import augment, consistency, data, losses, metrics, nets, optimizers, weighting
from mtl_jax.config.run import Labels, Run
from mtl_jax.config.run_groups import Augmentation, Evaluation
from mtl_jax.config.task import Task


def part(count: int, seed: int) -> dict[str, np.ndarray]:
    """Images of noise with two bright bars: the row is class `row`, the column is `column`."""
    rng = np.random.default_rng(seed)
    row, column = rng.integers(3, size=(2, count))
    image = rng.random((count, 6, 6, 1), np.float32) * 0.3
    image[np.arange(count), 2 * row, :] += 0.5
    image[np.arange(count), :, 2 * column] += 0.5
    return {
        "inputs": np.clip(image, 0.0, 1.0),
        "row": row.astype(np.int32),
        "column": column.astype(np.int32),
        "height": (row / 2.0).astype(np.float32),
    }


DATA = data.Arrays(part(96, 0), part(40, 1), part(40, 2))
ROW = Task(name="row", num_outputs=3, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),))
COLUMN = ROW.replace(name="column")
HEIGHT = Task(
    name="height", num_outputs=1, loss=losses.squared_error, metrics=(metrics.MeanSquaredError(),)
)
FIXMATCH = consistency.FixMatch(threshold=0.5)

RUN = Run(
    name="hard",
    data=DATA,
    tasks=(ROW, COLUMN),
    trunk=nets.MLP((12,)),
    balance=weighting.Equal(),
    optimizer=optimizers.SGD(0.05),
    steps=8,
    batch_size=8,
    labels=Labels(num_labelled=24, unlabelled_ratio=2),
    augmentation=Augmentation(weak=None, strong=augment.Cutout(2)),
    evaluation=Evaluation(every=4, checkpoint_every=4, ema_decay=0.9),
    num_seeds=2,
)
UNLABELLED = RUN.replace(
    name="fixmatch",
    tasks=(ROW.replace(auxiliary=FIXMATCH), COLUMN.replace(auxiliary=consistency.FreeMatch())),
)
