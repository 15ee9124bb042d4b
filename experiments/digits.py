"""With few labels, what do several tasks, unlabelled examples and a pretrained trunk bring?

Real handwritten digits that ship with scikit-learn, overlaid in pairs (MultiMNIST's
construction): two tasks, the left and the right digit, with 100 labelled composites and
8000 unlabelled ones. Every row is one difference from a run above it.

    python launch.py experiments/digits.py
"""

from mtl_jax import aggregation, augment, consistency, data, losses, metrics, nets, optimizers
from mtl_jax import sharing, transfer, weighting
from mtl_jax.run import Experiment, Run, Task

WEAK = augment.Shift(1)
STRONG = augment.Chain(
    (
        augment.Affine(degrees=15.0, scale=0.15, shear=0.15, translate=0.1),
        augment.Intensity(contrast=0.4, brightness=0.1),
        augment.Cutout(4),
    )
)


def digit(name: str) -> Task:
    """A digit to be named."""
    return Task(name=name, outputs=10, loss=losses.cross_entropy, metric=metrics.Accuracy())


LEFT, RIGHT = digit("left"), digit("right")
FIXMATCH = consistency.FixMatch(threshold=0.9)
BOTH_FIXMATCH = (LEFT.but(consistency=FIXMATCH), RIGHT.but(consistency=FIXMATCH))

# A trunk of matrix products: its steps may be scanned and its seeds vmapped on a CPU.
EQUAL = Run(
    name="hard sharing",
    data=data.MultiDigits(train=8000, validation=1000, test=2000),
    tasks=(LEFT, RIGHT),
    trunk=nets.MLP((256, 256)),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.Cosine(2e-3)),
    labelled=100,
    batch=50,
    unlabelled_ratio=4,
    weak=WEAK,
    strong=STRONG,
    steps=500,
    evaluate_every=100,
    checkpoint_every=250,
    ema=0.99,
    seeds=5,
)

EXPERIMENT = Experiment(
    runs=(
        EQUAL.but(name="left alone", tasks=(LEFT,)),
        EQUAL.but(name="right alone", tasks=(RIGHT,)),
        EQUAL,
        EQUAL.but(name="fixmatch", tasks=BOTH_FIXMATCH),
    ),
    baselines=("left alone", "right alone"),
)
