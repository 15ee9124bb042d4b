"""NYUv2, three tasks of every pixel: does one net with balanced tasks beat a net for each?

Segmentation of 13 classes, depth and surface normals; 795 training and 654 test images of
288 x 384. The protocol is that of Nash-MTL, FAMO and others: MTAN over SegNet, 200 epochs of
batches of 2, Adam with a rate of 1e-4 that halves after 100 epochs, random scales, crops and
flips. nyuv2_resnet50.py has LibMTL's protocol, nyuv2_partial.py has missing labels. Meant for a
GPU.

`data/nyuv2` holds the folders `train` and `val` that MTAN's authors distribute
(github.com/lorenmt/mtan).

    python launch.py experiments/nyuv2.py

Departures: a row is the last step, where papers average the last ten epochs; errors and medians
are over all pixels, theirs are averages over batches. Nash-MTL's code clips the gradients of
CAGrad and FAMO to norm 1, weighs the heads of Nash-MTL too, and has windows of 25 steps for DWA,
here an epoch. Crops are interpolated with the image's borders in place, theirs with the centers
of its corner pixels.
"""

from experiments.office31 import alone, published, rows
from mtl_jax import (
    Evaluation,
    Experiment,
    Run,
    Task,
    aggregation,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    weighting,
)
from mtl_jax.augment import example

EPOCH = 398
KINDS = {"depth": "depth", "normal": "normals"}
ANGLES = tuple(metrics.AngleWithin(degrees) for degrees in (11.25, 22.5, 30.0))


def segmentation(num_classes: int) -> Task:
    """The class of every pixel."""
    return Task(
        name="segmentation",
        head=nets.heads.SegNetHead(num_classes),
        loss=losses.cross_entropy,
        metrics=(metrics.MeanIoU(), metrics.Accuracy()),
    )


DEPTH = Task(
    name="depth",
    head=nets.heads.SegNetHead(1),
    loss=losses.absolute_error,
    metrics=(metrics.MeanAbsoluteError(), metrics.AbsoluteRelativeError()),
)
NORMAL = Task(
    name="normal",
    head=nets.heads.SegNetHead(3),
    loss=losses.cosine_distance,
    metrics=(metrics.MeanAngle(), metrics.MedianAngle(), *ANGLES),
)


def as_nash_mtl(epoch: int, c: float = 0.4, gamma: float = 1e-3, exponent: float = 0.5) -> dict:
    """The methods that Nash-MTL and later papers compare, for epochs of so many steps."""
    return {
        "LS": weighting.Equal(),
        "SI": weighting.LogSum(),
        "RLW": weighting.Random(),
        "DWA": weighting.DWA(epoch),
        "UW": weighting.Uncertainty(),
        "FAMO": weighting.FAMO(gamma=gamma),
        "MGDA": aggregation.MGDA(),
        "PCGrad": aggregation.PCGrad(),
        "GradDrop": aggregation.GradDrop(),
        "CAGrad": aggregation.CAGrad(c),
        "IMTL-G": aggregation.IMTLG(),
        "Nash-MTL": aggregation.NashMTL(max_norm=1.0),
        "FairGrad": aggregation.FairGrad(),
        "NTKMTL": aggregation.NTKMTL(exponent),
    }


def last_step(epoch: int) -> Evaluation:
    """Evaluates every tenth epoch, and reports the last step."""
    every = 10 * epoch
    return Evaluation(every=every, checkpoint_every=every, ema_decay=0.0, selection="last")


def cropped(run: Run) -> Run:
    """Scales, crops and flips the images of a run with the labels of its tasks."""
    kinds = tuple((task.name, KINDS[task.name]) for task in run.tasks if task.name in KINDS)
    joint = example.Joint((example.RandomScaleCrop(), example.HorizontalFlip()), kinds=kinds)
    return run.replace(augmentation={"joint": joint})


PLAIN = Run(
    name="LS",
    data=data.NYUv2("data/nyuv2", validation=None),
    tasks=(segmentation(13), DEPTH, NORMAL),
    trunk=nets.SegNetMTAN(),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.StepSchedule(1e-4)),
    batch_size=2,
    steps=200 * EPOCH,
    evaluation=last_step(EPOCH),
    num_seeds=3,
)
LS = cropped(PLAIN)
MORE = {
    "STCH": weighting.STCH(warmup=4 * EPOCH, window=EPOCH),
    "GradNorm": aggregation.GradNorm(),
    "GradVac": aggregation.GradVac(),
    "MoCo": aggregation.MoCo(),
    "Aligned-MTL": aggregation.AlignedMTL(),
    "SDMGrad": aggregation.SDMGrad(),
    "DB-MTL": aggregation.DBMTL(),
}
SINGLE = tuple(map(cropped, alone(PLAIN, trunk=nets.SegNet())))
EXPERIMENT = Experiment(
    runs=(
        *SINGLE,
        LS.replace(name="LS without attention", trunk=nets.SegNet()),
        *rows(LS, as_nash_mtl(EPOCH, exponent=0.75) | MORE),
    ),
    baselines=tuple(run.name for run in SINGLE),
    published=published("nyuv2"),
)
