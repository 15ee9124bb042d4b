"""FixMatch and its kin on STL-10 from 1000 labels, as published.

As fixmatch_cifar10.py, but for images of 96 pixels, and 100,000 images without labels. FixMatch
says of its net 37-2 and 23.8 million parameters, which are those of 46-2, so its rows have that;
TorchSSL's 37-2 has 5.9 million. 500 of the 5000 labelled images make the validation part, and
seeds draw 1000 of the others, where papers have the official folds of 1000: TFDS does not keep
their order (`data.FixedLabels` reads them for a source that does). Meant for GPUs.

    python -c "from mtl_jax.data import prepare; prepare('stl10', 'data')"
    python launch.py experiments/fixmatch_stl10.py --only "FixMatch*"
"""

from experiments.fixmatch_cifar10 import (
    EVEN,
    MORE,
    SUPERVISED,
    as_published,
    learning,
    published,
    with_labels,
)
from mtl_jax import Experiment, augment, consistency, data, nets

WEAK = augment.weak_crop_flip(12)
BASE = SUPERVISED.replace(
    data=data.Tfds("stl10", "data", ("train[:90%]+unlabelled", "train[90%:]", "test")),
    trunk=nets.WideResNet(37, 2, groups=4),
    augmentation={"weak": WEAK, "strong": augment.Chain((WEAK, augment.randaugment_usb()))},
)
METHODS = EVEN | MORE | {"CoMatch": consistency.CoMatch(contrast=5.0)}
ROWS = (
    BASE,
    *as_published(BASE.replace(trunk=nets.WideResNet(46, 2, groups=5)), WEAK),
    *(learning(BASE, name, method) for name, method in METHODS.items()),
)
EXPERIMENT = Experiment(runs=with_labels(ROWS, (1000,)), published=published("fixmatch_stl10"))
