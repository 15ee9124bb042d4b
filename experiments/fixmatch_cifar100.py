"""FixMatch and its kin on CIFAR-100 from 400, 2500 and 10,000 labels, as published.

As fixmatch_cifar10.py, but for WideResNet 28-8, whose first group has 128 channels (MixMatch's
larger net has 135), and a decay of 1e-3. USB trained 28-2 here too, so what only USB has numbers
for stands "on 28-2". Meant for GPUs.

    python -c "from mtl_jax.data import prepare; prepare('cifar100', 'data')"
    python launch.py experiments/fixmatch_cifar100.py --only "FixMatch*, 400 labels"
"""

from experiments.fixmatch_cifar10 import (
    EVEN,
    MORE,
    SUPERVISED,
    WEAK,
    as_published,
    learning,
    published,
    with_labels,
)
from mtl_jax import Experiment, consistency, data, nets, optimizers

WIDE = SUPERVISED.replace(
    data=data.Tfds("cifar100", "data", split=("train[:98%]", "train[98%:]", "test")),
    tasks=(SUPERVISED.tasks[0].replace(num_outputs=100),),
    trunk=nets.WideResNet(28, 8),
    optimizer=optimizers.SGD(
        optimizers.CosineSchedule(0.03, cycles=7 / 16), 0.9, weight_decay=1e-3
    ),
)
NARROW = WIDE.replace(name="supervised on 28-2", trunk=nets.WideResNet(28, 2))
OF_USB = ("SoftMatch", "AdaMatch", "CoMatch")
RA, CTA = as_published(WIDE, WEAK)
ALIGNED = consistency.FixMatch(align=consistency.DistributionAlignment("labels"))
ROWS = (
    WIDE,
    RA,
    CTA,
    learning(RA, "FixMatch (RA), aligned", ALIGNED),
    *(learning(WIDE, name, method) for name, method in (EVEN | MORE).items() if name not in OF_USB),
    NARROW,
    *(learning(NARROW, f"{name} on 28-2", MORE[name]) for name in OF_USB),
)
EXPERIMENT = Experiment(
    runs=with_labels(ROWS, (400, 2500, 10_000)), published=published("fixmatch_cifar100")
)
