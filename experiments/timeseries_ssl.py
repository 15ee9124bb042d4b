"""Two utterances a speaker: what does each semi-supervised method make of the others?

JapaneseVowels, real series of 12 cepstrum coefficients at 25 times, nine speakers to tell
apart: 18 of 216 training series have labels, one small trunk; every row is one method with its
paper's settings, except that running means forget after 100 steps, since a run has 600. Below
stand what a user of scikit-learn would pick, on the same labels. The strong augmentation was
chosen by FixMatch's accuracy on the 54 series of the validation part; test data decides nothing.

    pip install --no-deps aeon && python launch.py experiments/timeseries_ssl.py

About 20 minutes on two CPU cores that others use too; steps take 25 ms, compilation the rest.
"""

import functools

from mtl_jax import (
    Augmentation,
    Evaluation,
    Experiment,
    Labels,
    Run,
    Task,
    consistency,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    weighting,
)
from mtl_jax.augment import Chain, signal
from mtl_jax.config.sklearn_baseline import (
    SklearnBaseline,
    label_spreading,
    logistic_regression,
    self_training,
)

DATA = data.UCR("JapaneseVowels")
SPEAKER = Task(
    name="label", num_outputs=9, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),)
)
LABELLED = 18
SUPERVISED = Run(
    name="supervised",
    data=DATA,
    tasks=(SPEAKER,),
    trunk=nets.MLP((128, 128)),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.CosineSchedule(2e-3)),
    labels=Labels(num_labelled=LABELLED, unlabelled_ratio=4),
    batch_size=LABELLED,
    augmentation=Augmentation(
        weak=Chain((signal.Jitter(0.05), signal.RandomCrop(0.1))),
        medium=Chain((signal.Jitter(0.1), signal.TimeWarp(0.2), signal.RandomCrop(0.2))),
        strong=Chain(
            (
                signal.TimeWarp(0.3),
                signal.RandomCrop(0.3),
                signal.MagnitudeWarp(0.4),
                signal.Jitter(0.5),
                signal.TimeMask(10),
            )
        ),
    ),
    steps=600,
    evaluation=Evaluation(every=30, checkpoint_every=600, ema_decay=0.99, test="every"),
    num_seeds=5,
)


def learning(name: str, method) -> Run:
    """A row that learns from the unlabelled series by a method."""
    return SUPERVISED.replace(name=name, tasks=(SPEAKER.replace(auxiliary=method),))


def classic(name: str, *choices, pool: bool = True) -> SklearnBaseline:
    """A row of scikit-learn, its setting chosen by validation."""
    return SklearnBaseline(
        name=name,
        data=DATA,
        task=SPEAKER,
        candidates=choices,
        use_unlabelled=pool,
        num_labelled=LABELLED,
        num_seeds=5,
    )


FCN = nets.FCN((32, 32, 32), (5, 3, 3))
MOMENTUM = 0.99
METHODS = {
    "Pseudo-Label": consistency.PseudoLabel(),
    "Pi-model": consistency.PiModel(),
    "Mean Teacher": consistency.MeanTeacher(),
    "MixMatch": consistency.MixMatch(),
    "ReMixMatch, no turns": consistency.ReMixMatch(
        align=consistency.DistributionAlignment("labels", MOMENTUM), rotation=0.0
    ),
    "UDA": consistency.UDA(),
    "FixMatch": consistency.FixMatch(),
    "FixMatch, aligned": consistency.FixMatch(
        align=consistency.DistributionAlignment("labels", MOMENTUM)
    ),
    "FlexMatch": consistency.FlexMatch(),
    "FreeMatch": consistency.FreeMatch(MOMENTUM),
    "SoftMatch": consistency.SoftMatch(MOMENTUM),
    "AdaMatch": consistency.AdaMatch(),
}
LOGISTIC = tuple(
    functools.partial(logistic_regression, C=c, max_iter=2000) for c in (0.01, 0.1, 1.0)
)

EXPERIMENT = Experiment(
    runs=(
        SUPERVISED,
        *(learning(name, method) for name, method in METHODS.items()),
        SUPERVISED.replace(name="every label", labels={"num_labelled": None}),
        SUPERVISED.replace(name="supervised, FCN", trunk=FCN),
        learning("FixMatch, FCN", METHODS["FixMatch"]).replace(trunk=FCN),
    ),
    sklearn_baselines=(
        classic("logistic regression", *LOGISTIC, pool=False),
        classic(
            "LabelSpreading",
            *(
                functools.partial(label_spreading, kernel="knn", n_neighbors=k)
                for k in (5, 7, 10, 20)
            ),
            *(
                functools.partial(label_spreading, kernel="rbf", gamma=g)
                for g in (0.001, 0.003, 0.01)
            ),
        ),
        classic(
            "SelfTrainingClassifier",
            *(functools.partial(self_training, base, threshold=0.75) for base in LOGISTIC),
        ),
    ),
)
