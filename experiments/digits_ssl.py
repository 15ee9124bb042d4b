"""Four labels a class: what does each semi-supervised method make of the other digits?

scikit-learn's 1797 real handwritten digits, 40 of 1078 labelled, one task, one small trunk;
every row is one method with its paper's settings, except for what counts steps, examples or
pixels: running means forget after 100 steps, since a run has 600, queues and warm-ups are shorter
in proportion, and VAT's radius is that of small images. Below stands what a user of scikit-learn
would pick, on the same labels. Test data decides nothing.

    python launch.py experiments/digits_ssl.py

About a quarter of an hour on two CPU cores.
"""

import functools

from mtl_jax import (
    Augmentation,
    Evaluation,
    Experiment,
    Labels,
    Run,
    Task,
    augment,
    consistency,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    weighting,
)
from mtl_jax.config.sklearn_baseline import (
    SklearnBaseline,
    label_spreading,
    logistic_regression,
    self_training,
)

DATA = data.Digits()
DIGIT = Task(name="digit", num_outputs=10, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),))
SUPERVISED = Run(
    name="supervised",
    data=DATA,
    tasks=(DIGIT,),
    trunk=nets.MLP((256, 256)),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.CosineSchedule(2e-3)),
    labels=Labels(num_labelled=40, unlabelled_ratio=7),
    batch_size=40,
    augmentation=Augmentation(
        weak=augment.Affine(degrees=5.0, scale=0.05, translate=0.05),
        medium=augment.Affine(degrees=10.0, scale=0.1, shear=0.1, translate=0.1),
        strong=augment.Chain(
            (
                augment.Affine(degrees=20.0, scale=0.2, shear=0.2, translate=0.125),
                augment.BrightnessContrast(contrast=0.4, brightness=0.1),
                augment.Cutout(3),
            )
        ),
    ),
    steps=600,
    evaluation=Evaluation(every=30, checkpoint_every=600, ema_decay=0.99, test="every"),
    num_seeds=5,
)


def learning(name: str, method, teachers: tuple[Run, ...] = ()) -> Run:
    """A row that learns from the unlabelled images by a method."""
    task = DIGIT.replace(auxiliary=method)
    return SUPERVISED.replace(name=name, tasks=(task,), labels={"teachers": teachers})


def classic(name: str, *choices, pool: bool = True) -> SklearnBaseline:
    """A row of scikit-learn, its setting chosen by validation."""
    return SklearnBaseline(
        name=name,
        data=DATA,
        task=DIGIT,
        candidates=choices,
        use_unlabelled=pool,
        num_labelled=40,
        num_seeds=5,
    )


MOMENTUM = 0.99
RECENT = consistency.QueueAlignment(32)
METHODS = {
    "Pseudo-Label": consistency.PseudoLabel(),
    "Pi-model": consistency.PiModel(),
    "Mean Teacher": consistency.MeanTeacher(),
    "Temporal ensembling": consistency.TemporalEnsembling(),
    "VAT": consistency.VAT(radius=1.0, entropy=0.06),
    "ICT": consistency.ICT(),
    "MixMatch": consistency.MixMatch(),
    "ReMixMatch": consistency.ReMixMatch(consistency.DistributionAlignment("labels", MOMENTUM)),
    "UDA": consistency.UDA(),
    "UDA, signal annealed": consistency.UDA(schedule="linear"),
    "FixMatch": consistency.FixMatch(),
    "FixMatch, aligned": consistency.FixMatch(
        align=consistency.DistributionAlignment("labels", MOMENTUM)
    ),
    "FlexMatch": consistency.FlexMatch(),
    "Dash": consistency.Dash(warm_up=60, window=20, every=60),
    "CoMatch": consistency.CoMatch(memory=1600, align=RECENT),
    "CRMatch": consistency.CRMatch(),
    "SimMatch": consistency.SimMatch(align=RECENT),
    "AdaMatch": consistency.AdaMatch(consistency.WindowAlignment(32, MOMENTUM)),
    "FreeMatch": consistency.FreeMatch(MOMENTUM),
    "SoftMatch": consistency.SoftMatch(MOMENTUM),
    "DeFixMatch": consistency.DeFixMatch(),
    "ReFixMatch": consistency.ReFixMatch(),
    "SequenceMatch": consistency.SequenceMatch(),
    "ShrinkMatch": consistency.ShrinkMatch(momentum=MOMENTUM, align=RECENT),
    "MultiMatch": consistency.MultiMatch(
        epochs=20, mask=consistency.SelfAdaptiveThreshold(MOMENTUM)
    ),
}
STUDENT = consistency.NoisyStudent(threshold=0.9, params="ema")
FIRST = learning("Noisy Student, round 1", STUDENT, (SUPERVISED,))
SECOND = learning("Noisy Student, round 2", STUDENT, (FIRST,))
LOGISTIC = tuple(
    functools.partial(logistic_regression, C=c, max_iter=2000) for c in (0.01, 0.1, 1.0)
)

EXPERIMENT = Experiment(
    runs=(
        SUPERVISED,
        *(learning(name, method) for name, method in METHODS.items()),
        FIRST,
        SECOND,
        SUPERVISED.replace(name="every label", labels={"num_labelled": None}),
    ),
    sklearn_baselines=(
        classic("logistic regression", *LOGISTIC, pool=False),
        classic(
            "LabelSpreading",
            *(
                functools.partial(label_spreading, kernel="knn", n_neighbors=k)
                for k in (5, 7, 10, 20)
            ),
            *(functools.partial(label_spreading, kernel="rbf", gamma=g) for g in (0.3, 1.0, 3.0)),
        ),
        classic(
            "SelfTrainingClassifier",
            *(functools.partial(self_training, base, threshold=0.75) for base in LOGISTIC),
        ),
    ),
)
