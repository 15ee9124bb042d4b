"""NYUv2 with missing labels: does one net with three tasks beat a net for each?

As nyuv2.py without attention, and each training image keeps one of its three labels ("one
label") or one to two of them ("random labels"), as MTPSL drew and published them. Its
method, "MTPSL", adds consistency of the missing tasks' predictions with the labels that are
there. Meant for a GPU.

    python launch.py experiments/nyuv2_partial.py

Departures: those of nyuv2.py, and of `CrossTask`, whose embedding is two convolutions where the
paper's is SegNet's encoder. The labels that are kept: see experiments/README.md, in data/mtpsl.
"""

from experiments.nyuv2 import PLAIN, cropped
from experiments.office31 import alone, published
from mtl_jax import Experiment, data, nets
from mtl_jax.config.cross_task import CrossTask

NAMES = tuple(task.name for task in PLAIN.tasks)
KINDS = {
    kind: PLAIN.replace(
        name=f"{kind}LS",
        data=data.MaskedLabels(PLAIN.data, NAMES, f"data/mtpsl/{file}.npy"),
        trunk=nets.SegNet(),
    )
    for kind, file in (("one label, ", "onelabel"), ("random labels, ", "randomlabels"))
}
MTPSL = {
    kind: joint.replace(name=f"{kind}MTPSL", extensions=(CrossTask(),))
    for kind, joint in KINDS.items()
}
SINGLE = {kind: alone(run, kind) for kind, run in KINDS.items()}
EXPERIMENT = Experiment(
    runs=tuple(cropped(run) for kind in KINDS for run in (*SINGLE[kind], KINDS[kind], MTPSL[kind])),
    scratch_pairs=tuple(
        (joint[kind].name, *(run.name for run in SINGLE[kind]))
        for kind in KINDS
        for joint in (KINDS, MTPSL)
    ),
    published=published("nyuv2_partial"),
)
