"""Office-31, three domains as three tasks: does one net for all beat a net for each?

31 classes of objects in the pictures of Amazon, a DSLR and a webcam; each task has images of its
own. The protocol is that of LibMTL and DB-MTL: a ResNet-18 pretrained on ImageNet, 224 x 224
pixels, a batch of 64 for each task, 100 epochs of the largest domain, Adam with a rate of 1e-4
and a decay of 1e-5, LibMTL's parts of 60, 20 and 20 %. Validation selects. Meant for a GPU.

`data/office-31` holds the folders `amazon`, `dslr` and `webcam`, `data/office-31-lists` the lists
`amazon_train.txt` and so on of github.com/median-research-group/LibMTL (examples/office/data_txt),
and `data/resnet18` the file https://download.pytorch.org/models/resnet18-f37072fd.pth.

    python launch.py experiments/office31.py

Departures: LibMTL's code has a hidden layer of 512 with BatchNorm and dropout before the heads,
the paper's text has none; its decay is part of the gradient, here decoupled and of kernels alone.
"""

import json
import pathlib

from mtl_jax import (
    BalanceOptions,
    Evaluation,
    Experiment,
    Initialization,
    Published,
    Run,
    Task,
    aggregation,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    weighting,
)

PRETRAINED = nets.pretrained.Pretrained(
    "data/resnet18", nets.pretrained.TORCHVISION_RESNET, skip=(r"fc\..*",)
)
RESNET = nets.Preprocessed(nets.ResNet(18, small_images=False), nets.pretrained.IMAGENET)


def domains(name: str, names: tuple[str, ...]) -> data.MultiInput:
    """The domains of a data set, with LibMTL's lists."""
    sources = (data.ImageLists.of_domain(f"data/{name}", f"data/{name}-lists", n) for n in names)
    return data.MultiInput(tuple(map(data.Input, names, sources)))


def domain(name: str, num_classes: int) -> Task:
    """The classes of a domain's images."""
    return Task(
        name=name,
        num_outputs=num_classes,
        loss=losses.cross_entropy,
        metrics=(metrics.Accuracy(),),
    )


def as_libmtl(epoch: int) -> dict:
    """The methods that DB-MTL compares, with LibMTL's settings, for epochs of so many steps."""
    return {
        "EW": weighting.Equal(),
        "GLS": weighting.Geometric(),
        "RLW": weighting.Random(),
        "UW": weighting.Uncertainty(learning_rate=1e-4, initial=-0.5),
        "DWA": weighting.DWA(epoch),
        "IMTL-L": weighting.IMTLL(learning_rate=1e-4),
        "MGDA": aggregation.MGDA(),
        "GradNorm": aggregation.GradNorm(),
        "PCGrad": aggregation.PCGrad(),
        "GradDrop": aggregation.GradDrop(),
        "GradVac": aggregation.GradVac(),
        "IMTL-G": aggregation.IMTLG(),
        "CAGrad": aggregation.CAGrad(0.5, "one_plus_square"),
        "Nash-MTL": aggregation.NashMTL(max_norm=1.0),
        "MoCo": aggregation.MoCo(),
        "Aligned-MTL": aggregation.AlignedMTL(),
        "DB-MTL": aggregation.DBMTL(),
    }


def rows(base: Run, balancers: dict, by_features: tuple[str, ...] = ()) -> tuple[Run, ...]:
    """A run with each balancer, some of which take the gradients of the features."""
    wrt = {name: BalanceOptions(jacobian_wrt="representation") for name in by_features}
    return tuple(
        base.replace(name=name, balance=method, balance_options=wrt.get(name, BalanceOptions()))
        for name, method in balancers.items()
    )


def alone(base: Run, kind: str = "", **changes) -> tuple[Run, ...]:
    """A net for each task of a run."""
    return tuple(
        base.replace(name=f"{kind}{task.name} alone", tasks=(task,), **changes)
        for task in base.tasks
    )


def published(name: str) -> tuple[Published, ...]:
    """The numbers in a file beside this one; those of "alone" are of a run for each task."""
    text = (pathlib.Path(__file__).parent / "published" / f"{name}.json").read_text("utf-8")
    found = []
    for table in json.loads(text)["tables"]:
        for row, values in table["rows"].items():
            for column, value in zip(table["columns"], values, strict=True):
                run = f"{column.partition(' ')[0]} alone" if row == "alone" else row
                if value is not None:
                    found.append(Published(table["runs"] + run, column, value, table["source"]))
    return tuple(found)


EW = Run(
    name="EW",
    data=domains("office-31", ("amazon", "dslr", "webcam")),
    tasks=tuple(domain(name, 31) for name in ("amazon", "dslr", "webcam")),
    trunk=RESNET,
    initialization=Initialization(init_from=PRETRAINED),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(1e-4, weight_decay=1e-5),
    batch_size=64,
    steps=100 * 26,
    evaluation=Evaluation(every=26, checkpoint_every=10 * 26, ema_decay=0.0),
    num_seeds=3,
)
SINGLE = alone(EW)
EXPERIMENT = Experiment(
    runs=(*SINGLE, *rows(EW, as_libmtl(26))),
    baselines=tuple(run.name for run in SINGLE),
    published=published("office31"),
)
