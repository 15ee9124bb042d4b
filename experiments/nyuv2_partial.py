"""NYUv2 with missing labels: does one net with three tasks beat a net for each?

As nyuv2.py without attention, and each training image keeps one of its three labels ("one
label") or one to two of them ("random labels"), as in MTPSL; all rows have the same ones. Meant
for a GPU.

    python launch.py experiments/nyuv2_partial.py

Departures: those of nyuv2.py; MTPSL publishes its draw of the labels, this is another one. Its
consistency across tasks is not among the rows: `CrossTask` is for tasks without positions.
"""

from experiments.nyuv2 import PLAIN, cropped
from experiments.office31 import alone, published
from mtl_jax import Experiment, data, nets

NAMES = tuple(task.name for task in PLAIN.tasks)
KINDS = {
    kind: PLAIN.replace(
        name=f"{kind}LS",
        data=data.PartialAnnotation(PLAIN.data, NAMES, most),
        trunk=nets.SegNet(),
    )
    for kind, most in (("one label, ", 1), ("random labels, ", 2))
}
SINGLE = {kind: alone(run, kind) for kind, run in KINDS.items()}
EXPERIMENT = Experiment(
    runs=tuple(cropped(run) for kind, joint in KINDS.items() for run in (*SINGLE[kind], joint)),
    scratch_pairs=tuple(
        (joint.name, *(run.name for run in SINGLE[kind])) for kind, joint in KINDS.items()
    ),
    published=published("nyuv2_partial"),
)
