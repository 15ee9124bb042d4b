"""With few labels, what do several tasks, unlabelled examples and a pretrained trunk bring?

Real handwritten digits that ship with scikit-learn, overlaid in pairs (MultiMNIST's
construction): two tasks, the left and the right digit, with 100 labelled composites among
8000, and 100 more that validate. Every row is a difference of one line from a run above it;
test data decides nothing.

Each seed parts the digits anew and draws composites of its own, so an interval over seeds tells
what another draw would give. The pretrained trunk learns from labelled single digits, none of
which is in a training or validation composite.

    python launch.py experiments/digits.py

Three to four minutes on two CPU cores; all seeds of a run train side by side.
"""

from mtl_jax import (
    aggregation,
    augment,
    consistency,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    sharing,
    transfer,
    weighting,
)
from mtl_jax.config.run import Experiment, Run, Task


def digit(name: str) -> Task:
    """A digit to be named."""
    return Task(name=name, outputs=10, loss=losses.cross_entropy, metric=metrics.Accuracy())


LEFT, RIGHT = digit("left"), digit("right")
FIXMATCH = consistency.FixMatch(threshold=0.8)
LEFT_FIXMATCH, RIGHT_FIXMATCH = LEFT.but(consistency=FIXMATCH), RIGHT.but(consistency=FIXMATCH)
FREEMATCH = consistency.FreeMatch(momentum=0.99)

# The trunk is made of matrix products: on a CPU its steps may be scanned and its seeds
# vmapped, where a convolution's backward pass would be 40 times slower inside a loop.
# Five seeds of 600 steps take 2.6 s, 0.85 of five times one seed; the rest is compilation.
MLP = nets.MLP((256, 256))

HARD = Run(
    name="hard sharing",
    data=data.PerSeed(data.MultiDigits(train=8000, validation=100, test=2000, half=1)),
    tasks=(LEFT, RIGHT),
    trunk=MLP,
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.Cosine(4e-3)),
    labelled=100,
    batch=50,
    unlabelled_ratio=4,
    strong=augment.Chain(
        (
            augment.Affine(degrees=8.0, scale=0.08, shear=0.08),
            augment.Intensity(contrast=0.4, brightness=0.1),
            augment.Cutout(3),
        )
    ),
    steps=600,
    evaluate_every=100,
    checkpoint_every=300,
    ema=0.99,
    seeds=5,
)

SINGLE_DIGITS = HARD.but(
    name="single digits",
    data=data.PerSeed(data.SingleDigits(half=0)),
    tasks=(digit("digit"),),
    labelled=None,
)
FINE_TUNED = HARD.but(name="pretrained, fine-tuned", source=SINGLE_DIGITS)
SOFT = HARD.but(
    name="soft sharing, trace norm", trunk=nets.PerTask(MLP), penalties=(sharing.TraceNorm(3e-3),)
)
ALL = FINE_TUNED.but(name="all three", tasks=(LEFT_FIXMATCH, RIGHT_FIXMATCH))

EXPERIMENT = Experiment(
    runs=(
        HARD.but(name="left alone", tasks=(LEFT,)),
        HARD.but(name="right alone", tasks=(RIGHT,)),
        HARD.but(name="left alone, FixMatch", tasks=(LEFT_FIXMATCH,)),
        HARD.but(name="right alone, FixMatch", tasks=(RIGHT_FIXMATCH,)),
        HARD.but(affinity=True),
        HARD.but(name="uncertainty weighting", balance=weighting.Uncertainty()),
        HARD.but(name="PCGrad", balance=aggregation.PCGrad()),
        HARD.but(name="UPGrad", balance=aggregation.UPGrad()),
        HARD.but(name="MGDA", balance=aggregation.MGDA()),
        SOFT,
        SOFT.but(name="soft sharing, mean L2", penalties=(sharing.MeanL2(1e-4),)),
        HARD.but(name="FixMatch", tasks=(LEFT_FIXMATCH, RIGHT_FIXMATCH)),
        HARD.but(
            name="FreeMatch",
            tasks=(LEFT.but(consistency=FREEMATCH), RIGHT.but(consistency=FREEMATCH)),
        ),
        FINE_TUNED.but(name="pretrained, frozen", plan=transfer.plans.feature_extraction()),
        FINE_TUNED,
        FINE_TUNED.but(name="pretrained, L2-SP", penalties=(transfer.L2SP(3e-4),)),
        ALL,
        HARD.but(name="hard sharing, partial labels", partial=True),
        ALL.but(name="all three, partial labels", partial=True),
        HARD.but(name="every label", labelled=None),
    ),
    baselines=("left alone", "right alone"),
)
