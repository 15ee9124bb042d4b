"""Office-Home, four domains as four tasks: does one net for all beat a net for each?

65 classes of objects in art, clip art, pictures of products and of the real world, as
office31.py; an epoch is one of the products, 41 batches. Meant for a GPU.

`data/office-home` holds the folders `Art`, `Clipart`, `Product` and `Real_World`, and
`data/office-home-lists` LibMTL's lists (examples/office/data_txt).

    python launch.py experiments/office_home.py

Departures: those of office31.py.
"""

from experiments.office31 import EW, alone, as_libmtl, domain, domains, published, rows
from mtl_jax import Experiment

NAMES = ("Art", "Clipart", "Product", "Real_World")
BASE = EW.replace(
    data=domains("office-home", NAMES),
    tasks=tuple(domain(name, 65) for name in NAMES),
    steps=100 * 41,
    evaluation={"every": 41, "checkpoint_every": 410},
)
SINGLE = alone(BASE)
EXPERIMENT = Experiment(
    runs=(*SINGLE, *rows(BASE, as_libmtl(41))),
    baselines=tuple(run.name for run in SINGLE),
    published=published("office_home"),
)
