"""Eight labels and a thousand points: where does each method draw the line?

Two interleaved half circles, four labels on each. Supervised learning cuts straight through;
a method that keeps the line away from the crowd follows the moons. The figure
`boundaries.png` shows the first of five seeds.

    python launch.py experiments/two_moons.py

About one minute on two CPU cores.
"""

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

MOON = Task(name="moon", num_outputs=2, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),))
SUPERVISED = Run(
    name="supervised",
    data=data.TwoMoons(train=1000, noise=0.1),
    tasks=(MOON,),
    trunk=nets.MLP((64, 64)),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.CosineSchedule(5e-3)),
    labels=Labels(num_labelled=8, unlabelled_ratio=32),
    batch_size=8,
    augmentation=Augmentation(weak=augment.signal.Jitter(0.05), strong=augment.signal.Jitter(0.15)),
    steps=1000,
    evaluation=Evaluation(every=50, checkpoint_every=1000, ema_decay=0.99, test="every"),
    num_seeds=5,
)


def learning(name: str, method) -> Run:
    """A row that learns from the unlabelled points by a method."""
    return SUPERVISED.replace(name=name, tasks=(MOON.replace(auxiliary=method),))


EXPERIMENT = Experiment(
    runs=(
        SUPERVISED,
        learning("Pseudo-Label", consistency.PseudoLabel()),
        learning("Pi-model", consistency.PiModel()),
        learning("Mean Teacher", consistency.MeanTeacher()),
        learning("VAT", consistency.VAT(radius=0.2)),
        learning("MixMatch", consistency.MixMatch(weight=10.0)),
        learning("FixMatch", consistency.FixMatch()),
        learning("FreeMatch", consistency.FreeMatch(momentum=0.99)),
    ),
)
