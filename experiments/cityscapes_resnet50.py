"""Cityscapes with a pretrained ResNet-50: does one net with balanced tasks beat a net for each?

The data and tasks of cityscapes.py, by the protocol of nyuv2_resnet50.py with batches of 64.
Meant for a GPU.

    python launch.py experiments/cityscapes_resnet50.py

Departures: those of nyuv2_resnet50.py.
"""

from experiments.cityscapes import BASE
from experiments.nyuv2_resnet50 import BY_FEATURES, deeplab
from experiments.office31 import alone, as_libmtl, published, rows
from mtl_jax import Experiment

EW = deeplab(BASE, (128, 256), epoch=46, batch_size=64)
SINGLE = alone(EW)
EXPERIMENT = Experiment(
    runs=(*SINGLE, *rows(EW, as_libmtl(46), BY_FEATURES)),
    baselines=tuple(run.name for run in SINGLE),
    published=published("cityscapes_resnet50"),
)
