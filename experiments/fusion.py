"""Several tasks x unlabelled images x transfer: the full factorial, on two overlaid digits.

Composites of two real MNIST digits, 18 x 18 pixels; 400 of 4000 are labelled, each with one of
its two labels. Every combination of: the tasks alone or together under one of three aggregators;
labelled images alone or FixMatch; a trunk drawn at random or one trained on Fashion-MNIST. Nobody
publishes this crossing. The section on effects and its figure tell what each brings on average,
and what two of them bring together beyond their sum, paired by seed.

    python launch.py experiments/fusion.py

A task alone has the 200 labels that it has of the 400 when the tasks are together, in number.
"""

import itertools

from mtl_jax import (
    Augmentation,
    Evaluation,
    Experiment,
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
    weighting,
)
from mtl_jax.config.study_design import Cell, Factorial

SIZE = (18, 18)
FASHION = data.Resized(data.FashionMNIST(), SIZE)
DIGITS = data.Overlay(data.MNIST5k(), data.MNIST5k(), train=4000, validation=500, test=2000)
PAIRS = data.Resized(DIGITS, SIZE)
LABELS = 400
TOGETHER = {
    "PCGrad": aggregation.PCGrad(),
    "UPGrad": aggregation.UPGrad(),
    "Nash-MTL": aggregation.NashMTL(),
}
TRAINING = {"supervised": None, "FixMatch": consistency.FixMatch()}


def task(name: str, method=None) -> Task:
    """A digit, or a piece of clothing, to be named."""
    return Task(
        name=name,
        num_outputs=10,
        loss=losses.cross_entropy,
        metrics=(metrics.Accuracy(),),
        auxiliary=method,
    )


SOURCE = Run(
    name="Fashion-MNIST",
    data=FASHION,
    tasks=(task("label"),),
    trunk=nets.MLP((512, 256)),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.CosineSchedule(1e-3)),
    augmentation=Augmentation(weak=augment.RandomTranslate(1)),
    batch_size=64,
    steps=1500,
    evaluation=Evaluation(every=250, checkpoint_every=750, ema_decay=0.99),
    num_seeds=3,
)
BEGINS = {"drawn": None, "Fashion-MNIST": SOURCE}


def run(sharing: str, training: str, start: str, names: tuple[str, ...]) -> Run:
    """One run of a cell."""
    method = TRAINING[training]
    alone = sharing == "alone"
    label = f"{sharing} ({', '.join(names)})" if alone else sharing
    return SOURCE.replace(
        name=f"{label}, {training}, {start}",
        data=PAIRS,
        tasks=tuple(task(name, method) for name in names),
        balance=weighting.Equal() if alone else TOGETHER[sharing],
        labels={
            "num_labelled": LABELS // 2 if alone else LABELS,
            "partial": not alone,
            "unlabelled_ratio": 4,
        },
        batch_size=32,
        augmentation={"strong": augment.Chain((augment.Affine(), augment.Cutout(5)))},
        initialization={"init_from": BEGINS[start], "parameters": "raw"},
        steps=1500,
        evaluation={"every": 100, "checkpoint_every": 500},
    )


def runs(levels: tuple[str, str, str]) -> tuple[Run, ...]:
    """The runs of a cell: one for each task if they are alone."""
    parts = (("left",), ("right",)) if levels[0] == "alone" else (("left", "right"),)
    return tuple(run(*levels, names) for names in parts)


CELLS = {
    levels: runs(levels) for levels in itertools.product(("alone", *TOGETHER), TRAINING, BEGINS)
}

EXPERIMENT = Experiment(
    runs=(SOURCE, *(one for cell in CELLS.values() for one in cell)),
    factorial=Factorial(
        ("tasks", "training", "trunk"),
        tuple(Cell(levels, tuple(one.name for one in cell)) for levels, cell in CELLS.items()),
    ),
    scratch_pairs=tuple(
        (one.name, other.name)
        for levels, cell in CELLS.items()
        if levels[2] == "Fashion-MNIST"
        for one, other in zip(cell, CELLS[(*levels[:2], "drawn")], strict=True)
    ),
)
