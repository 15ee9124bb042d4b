"""From one kind of digits to the other: every method that aligns two domains.

1797 digits of scikit-learn and 5000 of MNIST, both cut to the ink and brought to 8 x 8 pixels;
the labels of one are known, of the other the images alone. Both directions, a small
convolutional trunk trained from nothing, one budget for all (ADDA goes on from source only, so
has it twice). Below stands nothing that knows
the target, above what is trained on the target's own labels. A row is the target's test
accuracy at the evaluation that the source's validation part chose, "last" that at the end of
the training: no label of the target decides anything.

    python launch.py experiments/domain_digits.py

Settings are the papers' and TLLib's, but for the widths of discriminators and second heads,
which are in proportion to the small trunk, and the weight of CORAL, which the paper leaves open.
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
    domain_adaptation,
    losses,
    metrics,
    nets,
    optimizers,
    weighting,
)
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.transfer import HEADS

DIGITS, MNIST = data.SmallDigits(), data.SmallMNIST()
WAYS = {"MNIST to digits": (MNIST, DIGITS), "digits to MNIST": (DIGITS, MNIST)}
DIGIT = Task(name="digit", num_outputs=10, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),))
TRUNK = nets.CNN((16, 32, 64))
WIDTHS = (256,)

METHODS = {
    "DAN": domain_adaptation.DAN(),
    "JAN": domain_adaptation.JAN(),
    "CORAL": domain_adaptation.CORAL(weight=10.0),
    "CORAL with means": domain_adaptation.CORAL(variant="means", weight=10.0),
    "DANN": domain_adaptation.DANN(WIDTHS),
    "DANN with BSP": domain_adaptation.DANN(WIDTHS, spectral=2e-4),
    "CDAN": domain_adaptation.CDAN(WIDTHS),
    "CDAN+E": domain_adaptation.CDAN(WIDTHS, entropy=True),
    "CDAN+E, randomised": domain_adaptation.CDAN(WIDTHS, entropy=True, randomized_dim=256),
    "MCD": domain_adaptation.MCD((64,)),
    "MDD": domain_adaptation.MDD((64,)),
    "MCC": domain_adaptation.MCC(),
    "AFN": domain_adaptation.AFN(),
    "AFN, hard": domain_adaptation.AFN(radius=25.0),
    "AdaMatch": consistency.AdaMatch(consistency.WindowAlignment(32, 0.99)),
    "FixMatch": consistency.FixMatch(),
}


def source_only(way: str) -> Run:
    """Labels of the source alone."""
    source, target = WAYS[way]
    return Run(
        name=f"source only, {way}",
        data=data.Domains((source,), target),
        tasks=(DIGIT,),
        trunk=TRUNK,
        balance=weighting.Equal(),
        optimizer=optimizers.SGD(optimizers.CosineSchedule(0.03), weight_decay=5e-4),
        batch_size=64,
        labels=Labels(unlabelled_ratio=1),
        augmentation=Augmentation(
            weak=augment.ReflectCrop(1),
            strong=augment.Chain((augment.ReflectCrop(1), augment.Cutout(3))),
        ),
        steps=800,
        evaluation=Evaluation(every=100, checkpoint_every=400, ema_decay=0.99),
        num_seeds=3,
    )


def aligned(name: str, method, way: str, trunk=TRUNK) -> Run:
    """A method that sees the target's images."""
    task = DIGIT.replace(auxiliary=method)
    return source_only(way).replace(name=f"{name}, {way}", tasks=(task,), trunk=trunk)


def adda(way: str) -> Run:
    """The target's net imitates that of `source_only`, whose head it keeps."""
    return source_only(way).replace(
        name=f"ADDA, {way}",
        tasks=(DIGIT.replace(auxiliary=domain_adaptation.ADDA(WIDTHS)),),
        initialization={"init_from": source_only(way), "parameters": "raw", "param_map": HEADS},
        param_rules=(ParamRule("tasks/heads/digit/(kernel|bias)", frozen=True), ParamRule(".*")),
        optimizer=optimizers.SGD(optimizers.CosineSchedule(0.001), weight_decay=5e-4),
    )


def oracle(way: str) -> Run:
    """The target's own labels."""
    source, target = WAYS[way]
    return source_only(way).replace(
        name=f"target's labels, {way}", data=data.Domains((source,), target, labelled="target")
    )


def rows(way: str) -> tuple[Run, ...]:
    """All rows of a direction that know more than the source's labels."""
    return (
        *(aligned(name, method, way) for name, method in METHODS.items()),
        aligned("FixBi", domain_adaptation.FixBi(), way, nets.TwoBranch(TRUNK)),
        adda(way),
        oracle(way),
    )


EXPERIMENT = Experiment(
    runs=tuple(run for way in WAYS for run in (source_only(way), *rows(way))),
    scratch_pairs=tuple((run.name, source_only(way).name) for way in WAYS for run in rows(way)),
)
