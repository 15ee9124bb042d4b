"""Many tasks with few examples: 14 functions of a yeast gene, does learning them together help?

Real data (Mulan's yeast: 2417 genes, 103 numbers each), read from the installed package river.
Each function is a binary task, judged by F1; each is also learnt alone, which shows which
tasks negative transfer hurts. Every row differs from hard sharing by one line.

    pip install -e ".[data]" && python launch.py experiments/yeast.py

All seeds of a run train side by side.
"""

from mtl_jax import (
    Evaluation,
    Experiment,
    Run,
    Task,
    aggregation,
    data,
    losses,
    metrics,
    nets,
    optimizers,
    sharing,
    weighting,
)
from mtl_jax.config.task_schedule import AlternatingTasks

TASKS = tuple(
    Task(name=f"class{i}", num_outputs=1, loss=losses.binary_cross_entropy, metrics=(metrics.F1(),))
    for i in range(1, 15)
)
MLP = nets.MLP((64, 64))

HARD = Run(
    name="hard sharing",
    data=data.Yeast(),
    tasks=TASKS,
    trunk=MLP,
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(optimizers.CosineSchedule(1e-3)),
    batch_size=128,
    steps=600,
    evaluation=Evaluation(every=50, checkpoint_every=600, ema_decay=0.99),
    num_seeds=5,
)

ALONE = tuple(HARD.replace(name=f"{task.name} alone", tasks=(task,)) for task in TASKS)

BALANCED = tuple(
    HARD.replace(name=type(method).__name__, balance=method)
    for method in (
        weighting.Random(),
        weighting.Geometric(),
        weighting.Uncertainty(),
        weighting.IMTLL(),
        weighting.DWA(window=12),
        weighting.STCH(),
        weighting.FAMO(),
        weighting.CoV(),
        aggregation.MGDA(),
        aggregation.PCGrad(),
        aggregation.GradVac(),
        aggregation.CAGrad(),
        aggregation.IMTLG(),
        aggregation.NashMTL(),
        aggregation.FairGrad(),
        aggregation.AlignedMTL(),
        aggregation.UPGrad(),
        aggregation.DualProj(),
        aggregation.ConFIG(),
        aggregation.NTKMTL(),
        aggregation.GradDrop(),
        aggregation.MoCo(),
        aggregation.DBMTL(),
        aggregation.ExcessMTL(),
        aggregation.AutoLambda(),
    )
)

SOFT = HARD.replace(name="one trunk a task", trunk=nets.PerTaskTrunk(MLP))
SHARED = (
    HARD.replace(name="alternating", task_schedule=AlternatingTasks()),
    SOFT,
    SOFT.replace(name="trace norm", regularization={"penalties": (sharing.TraceNorm(1e-3),)}),
    SOFT.replace(name="mean L2", regularization={"penalties": (sharing.MeanL2(1e-3),)}),
    HARD.replace(name="MMoE", trunk=nets.MMoE(MLP)),
    HARD.replace(name="CGC", trunk=nets.CGC(MLP)),
    HARD.replace(name="cross-stitch", trunk=nets.CrossStitch(MLP)),
    HARD.replace(name="FiLM", trunk=nets.FiLM(MLP)),
    HARD.replace(name="low rank", trunk=nets.LowRank(MLP)),
)

EXPERIMENT = Experiment(
    runs=(*ALONE, HARD.replace(evaluation={"measure_affinity": True}), *BALANCED, *SHARED),
    baselines=tuple(run.name for run in ALONE),
)
