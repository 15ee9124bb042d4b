"""FixMatch and its kin on CIFAR-10 from 40, 250 and 4000 labels, as published.

WideResNet 28-2, batches of 64 labelled images and 7 (or 1) times as many others, 2^20 steps of
SGD with Nesterov momentum at a rate of 0.03 cos(7 pi k / 16 K), decay of the kernels in the loss,
averages of 0.999. "FixMatch (RA)" and "(CTA)" have the paper's augmentations, all other rows
those of TorchSSL and USB, whose numbers stand beside them. Papers report the median of the last
20 checkpoints or the best one on test data: the table has a column for either. Meant for a GPU.

    python -c "from mtl_jax.data import prepare; prepare('cifar10', 'data')"
    python launch.py experiments/fixmatch_cifar10.py --only "FixMatch*, 40 labels"

Departures: 1000 training images make a validation part, where papers have none. Labelled sets
are drawn by seed, evenly over the classes (`data.write_splits` makes files of them), not the
papers' own. BatchNorm in evaluations has the running statistics that training left. AdaMatch is
its paper's, where USB's leaves the labelled images' second pass and the ramp out.
"""

import json
import pathlib

from mtl_jax import (
    Augmentation,
    Evaluation,
    Experiment,
    Labels,
    Published,
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

STEPS, EVERY = 2**20, 1024
WEAK, CUTOUT = augment.weak_crop_flip(), augment.Cutout(0.5, fill=0.5)
SUPERVISED = Run(
    name="supervised",
    data=data.Tfds("cifar10", "data", split=("train[:98%]", "train[98%:]", "test")),
    tasks=(
        Task(
            name="label", num_outputs=10, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),)
        ),
    ),
    trunk=nets.WideResNet(28, 2),
    balance=weighting.Equal(),
    optimizer=optimizers.SGD(
        optimizers.CosineSchedule(0.03, cycles=7 / 16), 0.9, weight_decay=5e-4
    ),
    steps=STEPS,
    batch_size=64,
    labels=Labels(unlabelled_ratio=7),
    augmentation=Augmentation(weak=WEAK, strong=augment.Chain((WEAK, augment.randaugment_usb()))),
    evaluation=Evaluation(every=EVERY, checkpoint_every=EVERY, ema_decay=0.999, test="every"),
    num_seeds=3,
)

# The first ones see as many unlabelled images as labelled ones.
EVEN = {
    "Pi-model": consistency.PiModel(freeze_statistics=True),
    "Pseudo-Label": consistency.PseudoLabel(freeze_statistics=True),
    "Mean Teacher": consistency.MeanTeacher(),
    "MixMatch": consistency.MixMatch(alpha=0.5, weight=100.0),
    "ReMixMatch": consistency.ReMixMatch(),
}
MORE = {
    "UDA": consistency.UDA(),
    "FixMatch": consistency.FixMatch(),
    "FlexMatch": consistency.FlexMatch(),
    "FreeMatch": consistency.FreeMatch(fairness=0.001),
    "SoftMatch": consistency.SoftMatch(),
    "AdaMatch": consistency.AdaMatch(),
    "CoMatch": consistency.CoMatch(),
    "SimMatch": consistency.SimMatch(),
    "ShrinkMatch": consistency.ShrinkMatch(),
}


def learning(base: Run, name: str, method, **changes) -> Run:
    """A row that learns from the unlabelled images by a method."""
    task = base.tasks[0].replace(auxiliary=method)
    labels = {"unlabelled_ratio": 1} if name in EVEN else {}
    return base.replace(name=name, tasks=(task,), labels=labels, **changes)


def as_published(base: Run, weak: augment.Chain) -> tuple[Run, Run]:
    """FixMatch with the two strong augmentations of its paper, over five seeds."""
    strong = {
        "RA": augment.Chain((weak, augment.randaugment_fixmatch())),
        "CTA": augment.LearnablePolicyChain(augment.CTAugment(), weak, augment.Chain((CUTOUT,))),
    }
    return tuple(
        learning(
            base,
            f"FixMatch ({name})",
            MORE["FixMatch"],
            augmentation={"weak": weak, "strong": policy},
            num_seeds=5,
        )
        for name, policy in strong.items()
    )


def with_labels(rows: tuple[Run, ...], counts: tuple[int, ...]) -> tuple[Run, ...]:
    """Every row with every number of labels."""
    return tuple(
        row.replace(name=f"{row.name}, {count} labels", labels={"num_labelled": count})
        for count in counts
        for row in rows
    )


def published(name: str) -> tuple[Published, ...]:
    """The numbers in a file beside this one, as accuracies in percent."""
    text = (pathlib.Path(__file__).parent / "published" / f"{name}.json").read_text("utf-8")
    return tuple(
        Published(f"{row}, {count} labels", "label", accuracy(cell[0], table), table["source"])
        for table in json.loads(text)["tables"]
        for row, cells in table["rows"].items()
        for count, cell in cells.items()
        if cell is not None
    )


def accuracy(printed: float, table: dict[str, str]) -> float:
    """Accuracy in percent of what a table prints."""
    return printed if table["measure"] == "accuracy %" else round(100.0 - printed, 2)


ROWS = (
    SUPERVISED,
    *as_published(SUPERVISED, WEAK),
    *(learning(SUPERVISED, name, method) for name, method in (EVEN | MORE).items()),
)
EXPERIMENT = Experiment(
    runs=with_labels(ROWS, (40, 250, 4000)), published=published("fixmatch_cifar10")
)
