"""Cityscapes, two tasks of every pixel: does one net with balanced tasks beat a net for each?

Segmentation of 7 classes and inverse depth; 2975 training and 500 test images of 128 x 256. The
protocol is that of nyuv2.py with batches of 8. cityscapes_resnet50.py has LibMTL's. Meant for a
GPU.

`data/cityscapes` holds the folders `train` and `val` that MTAN's authors distribute
(github.com/lorenmt/mtan).

    python launch.py experiments/cityscapes.py

Departures: those of nyuv2.py. The published augmentation divides the inverse depth by the scale,
as it does depth, and so do these runs.
"""

from experiments.nyuv2 import DEPTH, PLAIN, as_nash_mtl, cropped, last_step, segmentation
from experiments.office31 import alone, published, rows
from mtl_jax import Experiment, aggregation, data, nets

EPOCH = 372
BASE = PLAIN.replace(
    data=data.Cityscapes("data/cityscapes", validation=None, label="label_7"),
    tasks=(segmentation(7), DEPTH),
    batch_size=8,
    steps=200 * EPOCH,
    evaluation=last_step(EPOCH),
)
MORE = {"MoCo": aggregation.MoCo(), "SDMGrad": aggregation.SDMGrad()}
SINGLE = tuple(map(cropped, alone(BASE, trunk=nets.SegNet())))
EXPERIMENT = Experiment(
    runs=(*SINGLE, *rows(cropped(BASE), as_nash_mtl(EPOCH, c=0.2, gamma=1e-2) | MORE)),
    baselines=tuple(run.name for run in SINGLE),
    published=published("cityscapes"),
)
