"""Detection that is learnt in seconds: bright and dark rectangles on noise."""

import functools

import numpy as np

from mtl_jax import data, losses, metrics, nets, optimizers, weighting
from mtl_jax.augment import example
from mtl_jax.config.run import Run
from mtl_jax.config.run_groups import Augmentation, Evaluation
from mtl_jax.config.task import Task

SIZE, MOST = 32, 3


def part(count: int, seed: int) -> dict[str, np.ndarray]:
    """Images with one to three rectangles: bright ones are class 0, dark ones class 1."""
    rng = np.random.default_rng(seed)
    image = rng.random((count, SIZE, SIZE, 1), np.float32) * 0.3 + 0.35
    boxes = np.zeros((count, MOST, 5), np.float32)
    boxes[..., 0] = -1
    for n in range(count):
        for m in range(rng.integers(1, MOST + 1)):
            width, height = rng.integers(6, 13, 2)
            x, y = rng.integers(0, (SIZE - width + 1, SIZE - height + 1))
            kind = rng.integers(2)
            image[n, y : y + height, x : x + width] = 0.95 - 0.9 * kind
            boxes[n, m] = kind, x, y, x + width, y + height
    count = (boxes[..., 0] >= 0).sum(1).astype(np.float32)
    return {"inputs": image, "boxes": boxes, "count": count}


DECODE = functools.partial(metrics.decode_centers, stride=4, top=20)
BOXES = Task(
    name="boxes",
    head=nets.heads.Center(2, width=16),
    loss=functools.partial(losses.center_loss, stride=4),
    metrics=(metrics.MeanAveragePrecision(0.5, DECODE), metrics.MeanAveragePrecision(None, DECODE)),
)
COUNT = Task(
    name="count",
    num_outputs=1,
    loss=losses.absolute_error,
    metrics=(metrics.MeanAbsoluteError(),),
)
FLIP = example.Joint((example.HorizontalFlip(),), kinds=(("boxes", "boxes"),))
DETECTION = Run(
    name="boxes and count",
    data=data.Arrays(part(160, 0), part(40, 1), part(40, 2)),
    tasks=(BOXES, COUNT),
    trunk=nets.ResNet(18, width=8, small_images=False, features="pyramid"),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.CosineSchedule(4e-3)),
    augmentation=Augmentation(joint=FLIP),
    steps=150,
    batch_size=15,  # Odd, so that one device trains: many on few cores wait for each other.
    evaluation=Evaluation(every=75, checkpoint_every=75, ema_decay=0.9),
)
