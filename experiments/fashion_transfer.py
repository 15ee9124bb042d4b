"""From clothing to digits with few labels: every way to fine-tune, and when transfer hurts.

A small convolutional trunk is trained once on Fashion-MNIST, all labels, and taken to 5000
digits of MNIST and to the 1797 of scikit-learn, everything brought to 16 x 16 pixels, with 4, 25
and 100 labels a class. Plans say what is trained and how fast, regularisers what it is held to.
The section on transfer tells for every row what it cost against training from scratch; that on
estimates ranks two sources beforehand, clothing and the digits of the other target.

    python launch.py experiments/fashion_transfer.py

One budget for all, but that LP-FT and gradual unfreezing have stages before it, whose seconds
are not in the table. Weights are the papers' and TLLib's; rates of what is added or probed were
not searched.
"""

import functools

import jax
import jax.numpy as jnp

from mtl_jax import (
    Augmentation,
    Evaluation,
    Experiment,
    Initialization,
    Run,
    Task,
    augment,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    transfer,
    weighting,
)
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.transfer import finetuning

SIZE = (16, 16)
TRUNK = nets.CNN((16, 32, 64))
LAYERS = nets.layer_names(TRUNK, (*SIZE, 1))
SGD = optimizers.SGD(optimizers.CosineSchedule(0.03), weight_decay=5e-4)
PLAIN_SGD = optimizers.SGD(optimizers.CosineSchedule(0.03))
LABELS = (4, 25, 100)
WEAR = Task(name="label", num_outputs=10, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),))
TARGETS = {
    "MNIST": (data.Resized(data.MNIST5k(), SIZE), WEAR),
    "digits": (data.Resized(data.Digits(), SIZE), WEAR.replace(name="digit")),
}

FASHION = Run(
    name="Fashion-MNIST",
    data=data.Resized(data.FashionMNIST(), SIZE),
    tasks=(WEAR,),
    trunk=TRUNK,
    balance=weighting.Equal(),
    optimizer=SGD,
    augmentation=Augmentation(weak=augment.ReflectCrop(2)),
    initialization=Initialization(parameters="raw"),
    batch_size=64,
    steps=1500,
    evaluation=Evaluation(every=250, checkpoint_every=750, ema_decay=0.99),
    num_seeds=3,
)

SPOT = nets.SpotTune(TRUNK, policy=nets.CNN((8,)))
SLOW_OLD = (
    ParamRule(".*/old/.*", lr_scale=0.1),
    ParamRule("shared/.*", lr_scale=0.1),
    ParamRule(".*"),
)

# What a row changes of full fine-tuning.
PLANS = {
    "fine-tuned": {},
    "trunk slower": {"param_rules": finetuning.fine_tuning(0.1)},
    "linear probe": {"param_rules": finetuning.feature_extraction()},
    "last layer": {"param_rules": finetuning.last_layers(LAYERS, 1)},
    "layer-wise decay": {"param_rules": finetuning.layer_wise_decay(LAYERS, 0.5)},
    "biases": {"param_rules": finetuning.bias_only()},
    "norms": {"param_rules": finetuning.norm_only()},
    "LoRA": {
        "trunk": nets.LoRA(TRUNK, rank=1, alpha=1.0),
        "param_rules": finetuning.adapters_only("added/.*"),
    },
    "SSF": {
        "trunk": nets.SSF(TRUNK),
        "param_rules": finetuning.adapters_only("added/.*"),
        "optimizer": PLAIN_SGD,
    },
    "SpotTune": {
        "trunk": SPOT,
        "initialization": {
            "param_map": nets.source_param_map(
                SPOT, jax.ShapeDtypeStruct((1, *SIZE, 1), jnp.float32)
            ),
            "new_params": ("shared/policy.*",),
        },
        "param_rules": (ParamRule("shared/frozen_.*", frozen=True), ParamRule(".*")),
    },
    "StochNorm": {"trunk": nets.StochNorm(TRUNK)},
    "L2-SP": {"param_rules": finetuning.fine_tuning(1.0, anchor=0.01), "optimizer": PLAIN_SGD},
}
METHODS = {
    "BSS": (transfer.BSS(), {}),
    "DELTA, no attention": (
        transfer.BehavioralRegularization(weight=1e-4),
        {"optimizer": PLAIN_SGD},
    ),
    "DELTA": (transfer.DELTA(), {"optimizer": PLAIN_SGD}),
    "FitNet": (transfer.FitNet(weight=1.0), {}),
    "attention transfer": (transfer.AttentionTransfer(), {}),
    "RKD": (transfer.RKD(), {}),
    "similarity-preserving": (transfer.SimilarityPreserving(), {}),
    "PKT": (transfer.PKT(), {}),
    "LwF": (transfer.LwF(10), {}),
    "Co-Tuning": (transfer.CoTuning(10), {"param_rules": SLOW_OLD}),
    "Bi-Tuning": (transfer.BiTuning(TRUNK.features[-1]), {}),
}


def scratch(target: str, labels: int) -> Run:
    """Nothing is taken over."""
    source, task = TARGETS[target]
    return FASHION.replace(
        name=f"scratch, {target}, {labels}",
        data=source,
        tasks=(task,),
        labels={"num_labelled": 10 * labels},
        batch_size=32,
        steps=400,
        evaluation={"every": 50, "checkpoint_every": 400},
    )


def tuned(name: str, target: str, labels: int, method=None, **changes) -> Run:
    """A row that starts from the trunk of Fashion-MNIST."""
    task = TARGETS[target][1].replace(auxiliary=method)
    init = {"init_from": FASHION}
    if isinstance(method, transfer.LwF | transfer.CoTuning):
        # The source's head goes on beside the task's own.
        old = (r"tasks/heads/label/(kernel|bias)", rf"tasks/heads/{task.name}/old/Dense_0/\1")
        init["param_map"] = (old,)
    row = scratch(target, labels).replace(
        name=f"{name}, {target}, {labels}", tasks=(task,), initialization=init
    )
    return row.replace(**changes)


def in_stages(target: str, labels: int) -> tuple[Run, ...]:
    """Rows of several stages."""
    make = functools.partial(tuned, target=target, labels=labels)
    return (
        finetuning.lp_ft(make("LP-FT"), steps=200),
        finetuning.gradual_unfreezing(make("gradual unfreezing"), LAYERS, steps=100),
    )


def rows(target: str, labels: int) -> tuple[Run, ...]:
    """All rows of a target that begin with something of Fashion-MNIST."""
    return (
        *(tuned(name, target, labels, **changes) for name, changes in PLANS.items()),
        *in_stages(target, labels),
        *(tuned(n, target, labels, method, **own) for n, (method, own) in METHODS.items()),
    )


def digits_of(target: str) -> Run:
    """Another source for a target: the digits of the other one, all labels."""
    (other,) = set(TARGETS) - {target}
    return scratch(other, 4).replace(name=f"all {other}", labels={"num_labelled": None}, steps=800)


def probe(source_run: Run, target: str, labels: int) -> SklearnBaseline:
    """The linear probe in closed form, its ridge chosen by validation."""
    source, task = TARGETS[target]
    return SklearnBaseline(
        name=f"probe of {source_run.name}, {target}, {labels}",
        data=source,
        task=task,
        candidates=tuple(
            functools.partial(transfer.RidgeClassifier, ridge) for ridge in transfer.RIDGES
        ),
        num_labelled=10 * labels,
        num_seeds=FASHION.num_seeds,
        features_from=source_run,
        parameters="raw",
    )


def probes(target: str, labels: int) -> tuple[SklearnBaseline, ...]:
    """Probes of both sources, between which the estimates of transferability choose beforehand."""
    return tuple(probe(run, target, labels) for run in (FASHION, digits_of(target)))


CASES = tuple((target, labels) for target in TARGETS for labels in LABELS)

EXPERIMENT = Experiment(
    runs=(
        FASHION,
        *map(digits_of, TARGETS),
        *(run for case in CASES for run in (scratch(*case), *rows(*case))),
    ),
    sklearn_baselines=tuple(row for case in CASES for row in probes(*case)),
    scratch_pairs=tuple(
        (row.name, scratch(*case).name) for case in CASES for row in (*rows(*case), *probes(*case))
    ),
)
