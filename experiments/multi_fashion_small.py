"""Every balancing method and architecture on two overlaid pieces of clothing, on two CPU cores.

Multi-Fashion: two real Fashion-MNIST images in one (MGDA's construction), 20,000 composites, two
tasks on LeNet, one epoch. Every row differs from hard sharing by one line; `multi_fashion.py`
declares the published protocol.

    apt-get install dataset-fashion-mnist && python launch.py experiments/multi_fashion_small.py

All seeds of a run train side by side.
"""

from mtl_jax import (
    BalanceOptions,
    Evaluation,
    Execution,
    Experiment,
    LogUniform,
    Run,
    Task,
    Tuned,
    aggregation,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    tune,
    weighting,
)
from mtl_jax.config.task_schedule import AlternatingTasks

FASHION = data.FashionMNIST()
LENET = nets.LeNet()
EPOCH = 312  # Steps.


def task(name: str) -> Task:
    """A piece of clothing to be named."""
    return Task(name=name, num_outputs=10, loss=losses.cross_entropy, metrics=(metrics.Accuracy(),))


LEFT, RIGHT = task("left"), task("right")

HARD = Run(
    name="hard sharing",
    data=data.Overlay(FASHION, FASHION, "mgda", train=20_000, validation=1000, test=4000),
    tasks=(LEFT, RIGHT),
    trunk=LENET,
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.CosineSchedule(3e-3)),
    batch_size=64,
    steps=EPOCH,
    evaluation=Evaluation(every=EPOCH // 2, checkpoint_every=EPOCH, ema_decay=0.99),
    num_seeds=3,
    execution=Execution(steps_per_call=39),  # LeNet's convolutions are matrix products on a CPU.
)

WEIGHTED = tuple(
    HARD.replace(name=type(method).__name__, balance=method)
    for method in (
        weighting.Mean(),
        weighting.Random(),
        weighting.TaskSampling(),
        weighting.Geometric(),
        weighting.LogSum(),
        weighting.Uncertainty(),
        weighting.IMTLL(),
        weighting.DWA(window=EPOCH // 12),
        weighting.CoV(),
        weighting.FAMO(),
        weighting.STCH(),
        weighting.COSMOS(),
        weighting.PBI(),
        aggregation.MGDA(),
        aggregation.PCGrad(),
        aggregation.GradVac(),
        aggregation.CAGrad(),
        aggregation.IMTLG(),
        aggregation.NashMTL(),
        aggregation.FairGrad(),
        aggregation.PIVRG(),
        aggregation.AlignedMTL(),
        aggregation.UPGrad(),
        aggregation.DualProj(),
        aggregation.ConFIG(),
        aggregation.NTKMTL(),
        aggregation.PCD(),
        aggregation.GeometricMedian(),
        aggregation.Krum(),
        aggregation.GradNorm(),
        aggregation.GradDrop(),
        aggregation.MetaBalance(),
        aggregation.MoCo(),
        aggregation.DBMTL(),
        aggregation.ExcessMTL(),
        aggregation.MoDo(),
        aggregation.SDMGrad(),
        aggregation.AutoLambda(),
        aggregation.MOML(),
    )
)

VARIED = (
    HARD.replace(name="alternating", task_schedule=AlternatingTasks()),
    HARD.replace(name="Constant, 3 to 1", balance=weighting.Constant((1.5, 0.5))),
    HARD.replace(
        name="Uncertainty, classification",
        balance=weighting.Uncertainty(convention="classification"),
    ),
    HARD.replace(name="MGDA, loss+", balance=aggregation.MGDA(normalization="loss+")),
    HARD.replace(
        name="MGDA-UB",
        balance=aggregation.MGDA(),
        balance_options=BalanceOptions(jacobian_wrt="representation"),
    ),
    HARD.replace(name="CAGrad, rescaled", balance=aggregation.CAGrad(rescale="one_plus_square")),
    HARD.replace(name="GradVac by layer", balance=aggregation.PerLayer(aggregation.GradVac())),
    HARD.replace(name="CR-MOGM of UPGrad", balance=aggregation.CRMOGM(aggregation.UPGrad())),
    # Of two numbers, nothing can be left out at both ends: this is the mean.
    HARD.replace(name="TrimmedMean, no trim", balance=aggregation.TrimmedMean(trim=0)),
)

# Two are not among them: AdaShare, since no stage of LeNet keeps its shape, so none can be
# skipped; and Cascaded, whose upper LeNet reads 51 channels and alone would take ten minutes.
SHAPED = tuple(
    HARD.replace(name=type(trunk).__name__, trunk=trunk)
    for trunk in (
        nets.PerTaskTrunk(LENET),
        nets.Adapters(LENET),
        nets.Attention(LENET, groups=5),  # Must divide LeNet's 50 features.
        nets.CGC(LENET),
        nets.CrossStitch(LENET),
        nets.DSelectK(LENET),
        nets.FiLM(LENET),
        nets.LowRank(LENET),
        nets.LTB(LENET),
        nets.MMoE(LENET),
        nets.MTAN(LENET),
        nets.NDDR(LENET),
        nets.PLE(LENET),
        nets.Sluice(LENET),
    )
)

# Every balancing method with 8 learning rates, and as many pairs of a rate and a weighted sum.
RATE = "optimizer.learning_rate.peak"
RATES = (1e-3, 2e-3, 3e-3, 6e-3, 1e-2, 2e-2, 4e-2, 8e-2)
SUMS = {RATE: LogUniform(1e-3, 8e-2), "balance": weighting.simplex_weights(2, 9)}
TUNED = (
    *tune((HARD, *WEIGHTED), {RATE: RATES}),
    Tuned(name="weighted sum tuned", run=HARD, over=SUMS, budget=len(RATES)),
)

EXPERIMENT = Experiment(
    runs=(
        HARD.replace(name="left alone", tasks=(LEFT,)),
        HARD.replace(name="right alone", tasks=(RIGHT,)),
        HARD,
        *WEIGHTED,
        *VARIED,
        *SHAPED,
    ),
    baselines=("left alone", "right alone"),
    tuned=TUNED,
)
