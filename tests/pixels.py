"""A small problem of pixels: two classes of pixels and a depth, on images with a bright half."""

import numpy as np

from mtl_jax import augment, data, losses, metrics, nets, optimizers, weighting
from mtl_jax.config.run import Labels, Run
from mtl_jax.config.run_groups import Augmentation, Evaluation
from mtl_jax.config.task import Task


def part(count: int, seed: int) -> dict[str, np.ndarray]:
    """Images of noise that are brighter on one side of a random column."""
    rng = np.random.default_rng(seed)
    bright = np.arange(12)[None, None] < rng.integers(2, 10, (count, 1, 1))
    bright = np.broadcast_to(bright, (count, 8, 12))
    image = 0.4 * rng.random((count, 8, 12, 3), np.float32) + 0.5 * bright[..., None]
    labels = bright.astype(np.int32)
    labels[:, 0] = -1
    return {
        "inputs": image.astype(np.float32),
        "side": labels,
        "depth": (1.0 + bright[..., None]).astype(np.float32),
    }


DATA = data.Arrays(part(24, 0), part(8, 1), part(8, 2))
SIDE = Task(
    name="side",
    head=nets.heads.Pixel(2),
    loss=losses.cross_entropy,
    metrics=(metrics.MeanIoU(), metrics.Accuracy()),
)
DEPTH = Task(
    name="depth",
    head=nets.heads.Pixel(1),
    loss=losses.absolute_error,
    metrics=(metrics.MeanAbsoluteError(),),
)
RUN = Run(
    name="pixels",
    data=DATA,
    tasks=(SIDE, DEPTH),
    trunk=nets.UNet((4, 6)),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(0.01),
    steps=6,
    batch_size=4,
    labels=Labels(num_labelled=8, unlabelled_ratio=1),
    augmentation=Augmentation(weak=None, strong=augment.ColorJitter(0.4, 0.4, 0.4)),
    evaluation=Evaluation(every=3, checkpoint_every=3, ema_decay=0.9),
    num_seeds=1,
)
