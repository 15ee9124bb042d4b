"""Four labels a class of real clothing: every semi-supervised method, and what it costs.

Fashion-MNIST, 40 of 58,000 training images labelled; the eight best known methods with 25 and
100 labels a class as well. One small trunk and one budget for all, so that the table can be
made on two CPU cores; the settings are the papers', except for what counts steps, examples or
pixels: running means forget ten times as fast, since runs are short, queues and warm-ups are
shorter in proportion, and VAT's radius is that of small images. Below stands what a user of
scikit-learn would pick, on the same labels. Test data decides nothing.

    python launch.py experiments/fashion_ssl.py

An interrupted launch goes on where it was.
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
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.config.sklearn_baseline import (
    SklearnBaseline,
    label_spreading,
    logistic_regression,
    self_training,
    with_pca,
)

DATA = data.FashionMNIST(validation=1 / 30)
PIECE = Task(name="label", num_outputs=10, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),))
SUPERVISED = Run(
    name="supervised, 4",
    data=DATA,
    tasks=(PIECE,),
    trunk=nets.MLP((512, 256)),
    balance=weighting.Equal(),
    optimizer=optimizers.SGD(optimizers.CosineSchedule(0.03), weight_decay=5e-4),
    labels=Labels(num_labelled=40, unlabelled_ratio=4),
    batch_size=32,
    augmentation=Augmentation(
        weak=augment.weak_crop_flip(pixels=2),
        medium=augment.Affine(degrees=10.0, scale=0.1, shear=0.1, translate=0.1),
        strong=augment.randaugment_fixmatch(),
    ),
    steps=1500,
    evaluation=Evaluation(every=75, checkpoint_every=750, ema_decay=0.99, test="every"),
    num_seeds=3,
)

MOMENTUM = 0.99
RECENT = consistency.QueueAlignment(32)
MAIN = {  # With 4, 25 and 100 labels a class.
    "Pseudo-Label": consistency.PseudoLabel(),
    "Mean Teacher": consistency.MeanTeacher(),
    "MixMatch": consistency.MixMatch(),
    "UDA": consistency.UDA(),
    "FixMatch": consistency.FixMatch(),
    "FlexMatch": consistency.FlexMatch(),
    "FreeMatch": consistency.FreeMatch(MOMENTUM),
    "SoftMatch": consistency.SoftMatch(MOMENTUM),
}
OTHERS = {  # With 4.
    "Pi-model": consistency.PiModel(),
    "Temporal ensembling": consistency.TemporalEnsembling(),
    "VAT": consistency.VAT(radius=1.0, entropy=0.06),
    "ICT": consistency.ICT(),
    "ReMixMatch": consistency.ReMixMatch(consistency.DistributionAlignment("labels", MOMENTUM)),
    "UDA, signal annealed": consistency.UDA(schedule="linear"),
    "FixMatch, aligned": consistency.FixMatch(
        align=consistency.DistributionAlignment("labels", MOMENTUM)
    ),
    "Dash": consistency.Dash(warm_up=150, window=75, every=150),
    "CoMatch": consistency.CoMatch(memory=800, align=RECENT),
    "CRMatch": consistency.CRMatch(),
    "SimMatch": consistency.SimMatch(align=RECENT),
    "AdaMatch": consistency.AdaMatch(consistency.WindowAlignment(32, MOMENTUM)),
    "DeFixMatch": consistency.DeFixMatch(),
    "ReFixMatch": consistency.ReFixMatch(),
    "SequenceMatch": consistency.SequenceMatch(),
    "ShrinkMatch": consistency.ShrinkMatch(momentum=MOMENTUM, align=RECENT),
    "MultiMatch": consistency.MultiMatch(
        epochs=20, mask=consistency.SelfAdaptiveThreshold(MOMENTUM)
    ),
}
LABELS = (4, 25, 100)


def supervised(labels: int) -> Run:
    """Labelled images alone."""
    return SUPERVISED.replace(name=f"supervised, {labels}", labels={"num_labelled": 10 * labels})


def learning(name: str, method, labels: int, teachers: tuple[Run, ...] = ()) -> Run:
    """A row that learns from the unlabelled images by a method."""
    task = PIECE.replace(auxiliary=method)
    return supervised(labels).replace(
        name=f"{name}, {labels}", tasks=(task,), labels={"teachers": teachers}
    )


def on_components(estimator):
    """Makes an estimator of 50 components: of 784 pixels, all 55,000 images take hours."""
    return functools.partial(with_pca, estimator, components=50)


def classics(labels: int) -> tuple[SklearnBaseline, ...]:
    """Rows of scikit-learn, their settings chosen by validation."""
    base = tuple(
        functools.partial(logistic_regression, C=c, max_iter=2000) for c in (0.001, 0.01, 0.1)
    )
    fits = (functools.partial(logistic_regression, C=c, max_iter=200) for c in (0.01, 0.1, 1.0))
    trained = tuple(
        on_components(functools.partial(self_training, fit, threshold=sure))
        for fit in fits
        for sure in (0.75, 0.9)
    )
    near = tuple(
        on_components(functools.partial(label_spreading, kernel="knn", n_neighbors=k))
        for k in (7, 20)
    )
    row = functools.partial(
        SklearnBaseline,
        data=DATA,
        task=PIECE,
        num_labelled=10 * labels,
        num_seeds=SUPERVISED.num_seeds,
    )
    return (
        row(name=f"logistic regression, {labels}", candidates=base),
        row(name=f"LabelSpreading, {labels}", candidates=near, use_unlabelled=True),
        row(name=f"SelfTrainingClassifier, {labels}", candidates=trained, use_unlabelled=True),
    )


STUDENT = consistency.NoisyStudent(threshold=0.9, params="ema")
FIRST = learning("Noisy Student, round 1", STUDENT, 4, (supervised(4),))

EXPERIMENT = Experiment(
    runs=(
        *(supervised(labels) for labels in LABELS),
        *(learning(name, m, labels) for labels in LABELS for name, m in MAIN.items()),
        *(learning(name, method, 4) for name, method in OTHERS.items()),
        learning("Meta Pseudo Labels", consistency.UDA(), 4).replace(
            extensions=(MetaPseudoLabels(),)
        ),
        FIRST,
        learning("Noisy Student, round 2", STUDENT, 4, (FIRST,)),
        SUPERVISED.replace(name="every label", labels={"num_labelled": None}, batch_size=160),
    ),
    sklearn_baselines=tuple(row for labels in LABELS for row in classics(labels)),
)
