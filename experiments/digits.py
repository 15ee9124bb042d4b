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
    sharing,
    transfer,
    weighting,
)


def digit(name: str) -> Task:
    """A digit to be named."""
    return Task(name=name, num_outputs=10, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),))


LEFT, RIGHT = digit("left"), digit("right")
FIXMATCH = consistency.FixMatch(threshold=0.8)
LEFT_FIXMATCH, RIGHT_FIXMATCH = LEFT.replace(auxiliary=FIXMATCH), RIGHT.replace(auxiliary=FIXMATCH)
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
    optimizer=optimizers.Adam(optimizers.CosineSchedule(4e-3)),
    labels=Labels(num_labelled=100, unlabelled_ratio=4),
    batch_size=50,
    augmentation=Augmentation(
        strong=augment.Chain(
            (
                augment.Affine(degrees=8.0, scale=0.08, shear=0.08),
                augment.BrightnessContrast(contrast=0.4, brightness=0.1),
                augment.Cutout(3),
            )
        )
    ),
    steps=600,
    evaluation=Evaluation(every=100, checkpoint_every=300, ema_decay=0.99),
    num_seeds=5,
)

SINGLE_DIGITS = HARD.replace(
    name="single digits",
    data=data.PerSeed(data.SingleDigits(half=0)),
    tasks=(digit("digit"),),
    labels={"num_labelled": None},
)
FINE_TUNED = HARD.replace(
    name="pretrained, fine-tuned", initialization={"init_from": SINGLE_DIGITS}
)
SOFT = HARD.replace(
    name="soft sharing, trace norm",
    trunk=nets.PerTaskTrunk(MLP),
    regularization={"penalties": (sharing.TraceNorm(3e-3),)},
)
ALL = FINE_TUNED.replace(name="all three", tasks=(LEFT_FIXMATCH, RIGHT_FIXMATCH))

EXPERIMENT = Experiment(
    runs=(
        HARD.replace(name="left alone", tasks=(LEFT,)),
        HARD.replace(name="right alone", tasks=(RIGHT,)),
        HARD.replace(name="left alone, FixMatch", tasks=(LEFT_FIXMATCH,)),
        HARD.replace(name="right alone, FixMatch", tasks=(RIGHT_FIXMATCH,)),
        HARD.replace(evaluation={"measure_affinity": True}),
        HARD.replace(name="uncertainty weighting", balance=weighting.Uncertainty()),
        HARD.replace(name="PCGrad", balance=aggregation.PCGrad()),
        HARD.replace(name="UPGrad", balance=aggregation.UPGrad()),
        HARD.replace(name="MGDA", balance=aggregation.MGDA()),
        SOFT,
        SOFT.replace(
            name="soft sharing, mean L2", regularization={"penalties": (sharing.MeanL2(1e-4),)}
        ),
        HARD.replace(name="FixMatch", tasks=(LEFT_FIXMATCH, RIGHT_FIXMATCH)),
        HARD.replace(
            name="FreeMatch",
            tasks=(LEFT.replace(auxiliary=FREEMATCH), RIGHT.replace(auxiliary=FREEMATCH)),
        ),
        FINE_TUNED.replace(
            name="pretrained, frozen", param_rules=transfer.finetuning.feature_extraction()
        ),
        FINE_TUNED,
        FINE_TUNED.replace(
            name="pretrained, L2-SP", regularization={"penalties": (transfer.L2SP(3e-4),)}
        ),
        ALL,
        HARD.replace(name="hard sharing, partial labels", labels={"partial": True}),
        ALL.replace(name="all three, partial labels", labels={"partial": True}),
        HARD.replace(name="every label", labels={"num_labelled": None}),
    ),
    baselines=("left alone", "right alone"),
)
