"""The section on what sources promised before anything was fine-tuned."""

import numpy as np

from mtl_jax.host.folder import Folder
from mtl_jax.host.text import markdown, spread
from mtl_jax.run import Experiment

NOTE = (
    "Estimates of transferability from the source's features and outputs for the labelled "
    "examples: higher promises more. Mean ± 95 % interval over seeds. A dash stands where there "
    "are too few examples."
)


def section(experiment: Experiment, folders: dict[str, Folder]) -> str:
    """What `table.md` says of estimates; empty if no row reads the features of a run."""
    results = {
        row.name: folders[row.name].result()["promises"]
        for row in experiment.classics
        if row.features is not None
    }
    if not results:
        return ""
    names = list(next(iter(results.values()))[0])
    body = [[row, *(cell(seeds, name) for name in names)] for row, seeds in results.items()]
    return f"\n## Estimates of transferability\n\n{markdown(['row', *names], body)}\n{NOTE}\n"


def cell(seeds: list[dict[str, float]], name: str) -> str:
    """One estimate over the seeds."""
    values = [seed[name] for seed in seeds]
    return "-" if None in values else spread(np.array(values))
