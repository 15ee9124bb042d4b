"""FixMatch and its kin on SVHN from 40, 250 and 1000 labels, as published.

As fixmatch_cifar10.py; the extra images of SVHN are with the training images, and so are labels
drawn from both. FixMatch's own rows do not mirror numbers, those of TorchSSL and USB do.
FreeMatch's threshold is held within 0.9 and 0.95, as in TorchSSL. Meant for a GPU.

    python -c "from mtl_jax.data import prepare; prepare('svhn_cropped', 'data')"
    python launch.py experiments/fixmatch_svhn.py --only "FixMatch*, 40 labels"
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
from mtl_jax import Experiment, augment, consistency, data

BASE = SUPERVISED.replace(
    data=data.Tfds("svhn_cropped", "data", ("train[:-1000]+extra", "train[-1000:]", "test"))
)
METHODS = EVEN | MORE | {"FreeMatch": consistency.FreeMatch(fairness=0.001, clip=(0.9, 0.95))}
ROWS = (
    BASE,
    *as_published(BASE, augment.weak_crop_flip(flip=False)),
    *(learning(BASE, name, method) for name, method in METHODS.items()),
)
EXPERIMENT = Experiment(
    runs=with_labels(ROWS, (40, 250, 1000)), published=published("fixmatch_svhn")
)
