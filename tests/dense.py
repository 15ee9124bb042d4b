"""A small dense problem, as `tests.small` is one of whole images: maps with holes, and tokens."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from mtl_jax import augment, consistency, data, losses, metrics, nets, optimizers, weighting
from mtl_jax.config.run import Labels, Run
from mtl_jax.config.run_groups import Augmentation, Evaluation
from mtl_jax.config.task import Task
from mtl_jax.core.features import Pyramid, Tokens
from mtl_jax.core.head import Head
from mtl_jax.core.trunk import StagedTrunk
from mtl_jax.nets.backbones.stages import sequential

SIDE, CLASSES = 8, 3


def part(count: int, seed: int) -> dict[str, np.ndarray]:
    """Images of noisy squares of three brightnesses, with their maps, a fifth of which is missing."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(CLASSES, size=(count, 2, 2))
    classes = coarse.repeat(SIDE // 2, 1).repeat(SIDE // 2, 2)
    noise = rng.random((*classes.shape, 1), np.float32)
    normals = np.eye(3, dtype=np.float32)[classes] + 0.1 * rng.normal(size=(*classes.shape, 3))
    missing = rng.random((3, *classes.shape)) < 0.2
    return {
        "inputs": classes[..., None].astype(np.float32) / CLASSES + 0.3 * noise,
        "classes": np.where(missing[0], -1, classes).astype(np.int32),
        "depth": np.where(missing[1], np.nan, 1.0 + classes)[..., None].astype(np.float32),
        "normals": np.where(missing[2][..., None], np.nan, normals).astype(np.float32),
        "corner": coarse[:, 0, 0].astype(np.int32),
    }


class Layer(nn.Module):
    """`relu(norm(conv3x3(x)))`."""

    width: int

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.Conv(self.width, (3, 3), use_bias=False)(x)
        return nn.relu(nn.BatchNorm(momentum=0.9)(x, use_running_average=not train))


class Strides(nn.Module):
    """A pyramid of two maps."""

    @nn.compact
    def __call__(self, x, *, train):
        fine = Layer(4)(x, train=train)
        return Pyramid((fine, Layer(4)(fine[:, ::2, ::2], train=train)))


class Words(nn.Module):
    """Features of the embedded tokens, mixed with those before them, and their mean."""

    @nn.compact
    def __call__(self, x, *, train):
        embedded = nn.Embed(5, 4)(x)
        tokens = nn.tanh(nn.Dense(4)(embedded) + nn.Dense(4)(jnp.roll(embedded, 1, 1)))
        return Tokens(tokens.mean(1), tokens, jnp.ones(x.shape))


class EachToken(Head, nn.Module):
    """A linear head at every token."""

    num_outputs: int
    reads = ("tokens",)

    @nn.compact
    def __call__(self, features, *, train):
        return nn.Dense(self.num_outputs)(features.tokens)


class Maps(StagedTrunk, nn.Module):
    """Layers that keep the size of the image."""

    widths: tuple[int, ...] = (4, 4)

    @nn.compact
    def __call__(self, x, *, train):
        return sequential(self, self.stages(), x, train)

    @nn.nowrap
    def stages(self):
        return tuple(Layer(width, parent=None) for width in self.widths)

    @nn.nowrap
    def pool(self, x):
        return x


def sentences(count: int, seed: int) -> dict[str, np.ndarray]:
    """Tokens, of which each has the class and the number of the one before it, some missing."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(5, size=(count, 6), dtype=np.int32)
    before = np.roll(tokens, 1, 1)
    missing = rng.random((2, count, 6)) < 0.2
    return {
        "inputs": tokens,
        "before": np.where(missing[0], -1, before % 3).astype(np.int32),
        "height": np.where(missing[1], np.nan, before)[..., None].astype(np.float32),
    }


DATA = data.Arrays(part(24, 0), part(8, 1), part(8, 2))
CLASS_MAP = Task(
    name="classes",
    head=nets.heads.Pixel(CLASSES),
    loss=losses.cross_entropy,
    metrics=(metrics.MeanIoU(), metrics.Accuracy()),
)
DEPTH = Task(
    name="depth",
    head=nets.heads.Pixel(1),
    loss=losses.absolute_error,
    metrics=(metrics.MeanAbsoluteError(),),
)
NORMALS = Task(
    name="normals",
    head=nets.heads.Pixel(3),
    loss=losses.cosine_distance,
    metrics=(metrics.MeanAngle(), metrics.MedianAngle()),
)
CORNER = Task(
    name="corner", num_outputs=CLASSES, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),)
)
TRUNK = Maps()
RUN = Run(
    name="dense",
    data=DATA,
    tasks=(CLASS_MAP, DEPTH, NORMALS),
    trunk=TRUNK,
    balance=weighting.Equal(),
    optimizer=optimizers.SGD(0.05),
    steps=4,
    batch_size=4,
    labels=Labels(num_labelled=12, unlabelled_ratio=1),
    augmentation=Augmentation(weak=None, strong=augment.Cutout(2)),
    evaluation=Evaluation(every=4, checkpoint_every=4, ema_decay=0.9),
)
# The same with a representation that is a tree.
PYRAMID = RUN.replace(
    name="pyramid",
    trunk=Strides(),
    tasks=tuple(task.replace(head=nets.heads.FPN(task.num_outputs, width=4)) for task in RUN.tasks),
)
TOKENS = RUN.replace(
    name="tokens",
    data=data.Arrays(sentences(24, 0), sentences(8, 1), sentences(8, 2)),
    trunk=Words(),
    tasks=(
        CLASS_MAP.replace(name="before", head=EachToken(3)),
        DEPTH.replace(name="height", head=EachToken(1)),
    ),
    augmentation=Augmentation(),
)
FIXMATCH = consistency.FixMatch(threshold=0.5)
UNLABELLED = RUN.replace(name="fixmatch", tasks=(CLASS_MAP.replace(auxiliary=FIXMATCH),))
