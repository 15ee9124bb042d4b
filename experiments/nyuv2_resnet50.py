"""NYUv2 with a pretrained ResNet-50: does one net with balanced tasks beat a net for each?

The data and tasks of nyuv2.py by the protocol of LibMTL and DB-MTL: a dilated ResNet-50 of output
stride 8, pretrained on ImageNet, a DeepLab head for each task, 200 epochs of batches of 8, Adam
with a rate of 1e-4 that halves after 100 epochs and a decay of 1e-5, no augmentation. Meant for a
GPU.

`data/nyuv2` is that of nyuv2.py, and `data/resnet50` holds the file
https://download.pytorch.org/models/resnet50-0676ba61.pth.

    python launch.py experiments/nyuv2_resnet50.py --only "*alone"

Departures: a row is the last step, where DB-MTL takes the best epoch on test. LibMTL resizes
outputs with the centers of corner pixels in place, and its decay is part of the gradient, here
decoupled and of kernels alone. Its MTAN and cross-stitch are pretrained, ours are not. Images are
not normalized, as in its code.
"""

from experiments.nyuv2 import PLAIN, last_step
from experiments.office31 import alone, as_libmtl, published, rows
from mtl_jax import Experiment, Run, nets, optimizers

RESNET = nets.ResNet(50, small_images=False, output_stride=8, features="map")
IN_FILES = nets.pretrained.Preprocessing(224, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
WEIGHTS = nets.pretrained.Pretrained(
    "data/resnet50",
    nets.pretrained.TORCHVISION_RESNET,
    skip=(r"fc\..*",),
    preprocessing=IN_FILES,
)
BY_FEATURES = ("MGDA", "GradDrop", "IMTL-G")  # As LibMTL's own tables say.


def deeplab(segnet: Run, size: tuple[int, int], epoch: int, batch_size: int) -> Run:
    """The data and tasks of a run, by LibMTL's protocol."""
    return segnet.replace(
        name="EW",
        tasks=tuple(
            task.replace(head=nets.heads.ASPP(task.num_outputs, size=size)) for task in segnet.tasks
        ),
        trunk=nets.Preprocessed(RESNET, IN_FILES),
        initialization={"init_from": WEIGHTS},
        optimizer=optimizers.Adam(optimizers.StepSchedule(1e-4), weight_decay=1e-5),
        batch_size=batch_size,
        steps=200 * epoch,
        evaluation=last_step(epoch),
    )


EW = deeplab(PLAIN, (288, 384), epoch=99, batch_size=8)
SCRATCH = EW.replace(initialization={"init_from": None})
SINGLE = alone(EW)
EXPERIMENT = Experiment(
    runs=(
        *SINGLE,
        *rows(EW, as_libmtl(99), BY_FEATURES),
        SCRATCH.replace(name="MTAN from scratch", trunk=nets.MTAN(RESNET)),
        SCRATCH.replace(name="cross-stitch from scratch", trunk=nets.CrossStitch(RESNET)),
    ),
    baselines=tuple(run.name for run in SINGLE),
    published=published("nyuv2_resnet50"),
)
