"""QM9, 11 properties of molecules as 11 tasks: does one net with balanced tasks beat 11 nets?

Regressions of standardized properties from the graphs of 130,831 molecules, of which 10,000
validate and 10,000 test. The protocol is that of Nash-MTL and later papers: a message-passing
net of width 64 with Set2Set, 300 epochs of batches of 120, Adam with a rate of 1e-3. Meant for a
GPU.

`data/qm9` holds `gdb9.sdf` and `gdb9.sdf.csv` of MoleculeNet's `qm9.zip`, which PyTorch Geometric
downloads too, and beside them `uncharacterized.txt`.

    python launch.py experiments/qm9.py

Departures: the rate falls to 1e-5 by a cosine, theirs by 0.7 where validation has not improved
for five epochs (NTKMTL, 2025, finds that this falls too fast). Validation selects by the mean
rank of the tasks, theirs by Δm. Errors are in standard deviations of the training labels (of
`StandardizedLabels.scales`), which leaves Δm as it is; published ones have units. Atoms have 5
features and edges 4, theirs 11, of RDKit, and 5, with aromatic bonds. The split is another draw.
Nash-MTL's code clips the gradients of CAGrad and FAMO to norm 1, weighs the heads of Nash-MTL
too, and has windows of 25 steps for DWA, here an epoch.
"""

from experiments.nyuv2 import as_nash_mtl
from experiments.office31 import alone, published, rows
from mtl_jax import (
    Evaluation,
    Experiment,
    Run,
    Task,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    weighting,
)

EPOCH = 924
MOLECULES = data.QM9Files("data/qm9")


def regression(name: str) -> Task:
    """A property of a molecule."""
    return Task(
        name=name,
        num_outputs=1,
        loss=losses.squared_error,
        metrics=(metrics.MeanAbsoluteError(),),
    )


LS = Run(
    name="LS",
    data=data.StandardizedLabels(MOLECULES, MOLECULES.targets),
    tasks=tuple(map(regression, MOLECULES.targets)),
    trunk=nets.MPNN(),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.CosineSchedule(1e-3, cycles=0.4968)),
    batch_size=120,
    steps=300 * EPOCH,
    evaluation=Evaluation(every=EPOCH, checkpoint_every=10 * EPOCH, ema_decay=0.0),
    num_seeds=3,
)
SINGLE = alone(LS)
EXPERIMENT = Experiment(
    runs=(*SINGLE, *rows(LS, as_nash_mtl(EPOCH))),
    baselines=tuple(run.name for run in SINGLE),
    published=published("qm9"),
)
