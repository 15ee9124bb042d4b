"""Road scenes: segmentation beside two tasks of whole images, and with an eighth of the maps.

CamVid, 367 training images of 240 x 180 pixels resized to 96 x 72: eleven classes of pixels, which of
car, pedestrian, sign and cyclist are there, and the share of road. Each task alone, all together by
equal weights and four aggregators, and by two architectures; then segmentation from 46 of the maps
and all images. One small ResNet with maps at a quarter of the size. Validation, 101 images of one
scene, selects the evaluation.

    python launch.py experiments/camvid.py

Data: see experiments/README.md, in the folder data/camvid.
"""

from mtl_jax import (
    Augmentation,
    Evaluation,
    Experiment,
    Labels,
    Run,
    Task,
    aggregation,
    augment,
    consistency,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    weighting,
)
from mtl_jax.augment import example

SIZE = (72, 96)
LABEL = "segmentation"
DATA = data.DerivedLabels(
    data.CamVid("data/camvid", size=SIZE),
    (
        ("presence", data.ClassPresence(LABEL, (8, 9, 6, 10), min_pixels=10)),
        ("road", data.ClassShare(LABEL, (3,))),
    ),
)
SEGMENTATION = Task(
    name=LABEL,
    head=nets.heads.Pixel(11, size=SIZE),
    loss=losses.cross_entropy,
    metrics=(metrics.MeanIoU(), metrics.Accuracy()),
)
PRESENCE = Task(
    name="presence",
    num_outputs=4,
    loss=losses.binary_cross_entropy,
    metrics=(metrics.F1(), metrics.AUROC()),
)
ROAD = Task(
    name="road",
    num_outputs=1,
    loss=losses.squared_error,
    metrics=(metrics.MeanAbsoluteError(), metrics.R2()),
)
TASKS = (SEGMENTATION, PRESENCE, ROAD)
TRUNK = nets.ResNet(18, width=8, output_stride=4, features="map")
TOGETHER = Run(
    name="equal weights",
    data=DATA,
    tasks=TASKS,
    trunk=TRUNK,
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.CosineSchedule(2e-3)),
    augmentation=Augmentation(
        joint=example.Joint((example.RandomScaleCrop(), example.HorizontalFlip()))
    ),
    batch_size=8,
    steps=600,
    evaluation=Evaluation(every=150, checkpoint_every=300, ema_decay=0.99),
    num_seeds=3,
)
FEW = TOGETHER.replace(
    name="46 maps: supervised",
    tasks=(SEGMENTATION,),
    labels=Labels(num_labelled=46, unlabelled_ratio=1),
    augmentation={"strong": augment.ColorJitter(0.5, 0.5, 0.5)},
)


def alone(task: Task) -> Run:
    """A row of one task."""
    return TOGETHER.replace(name=f"{task.name} alone", tasks=(task,))


def learning(name: str, method) -> Run:
    """A row that learns from the images without a map by a method."""
    return FEW.replace(name=f"46 maps: {name}", tasks=(SEGMENTATION.replace(auxiliary=method),))


RUNS = (
    *map(alone, TASKS),
    TOGETHER,
    TOGETHER.replace(name="PCGrad", balance=aggregation.PCGrad()),
    TOGETHER.replace(name="CAGrad", balance=aggregation.CAGrad()),
    TOGETHER.replace(name="Nash-MTL", balance=aggregation.NashMTL()),
    TOGETHER.replace(name="UPGrad", balance=aggregation.UPGrad()),
    TOGETHER.replace(name="MTAN", trunk=nets.MTAN(TRUNK)),
    TOGETHER.replace(name="cross-stitch", trunk=nets.CrossStitch(TRUNK)),
    FEW,
    learning("FixMatch", consistency.FixMatch(threshold=0.95)),
    learning("CutMix consistency", consistency.CutMixConsistency()),
    learning("UniMatch", consistency.UniMatch()),
)
EXPERIMENT = Experiment(runs=RUNS, baselines=tuple(f"{task.name} alone" for task in TASKS))
