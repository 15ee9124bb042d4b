"""The section on what sources promised before anything was fine-tuned, and which promises most."""

import numpy as np

from mtl_jax.config.run import Experiment
from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.metrics.comparison import mean_rank
from mtl_jax.report.formatting import markdown, spread
from mtl_jax.storage.run_directory import Folder

Told = dict[str, list[dict[str, float | None]]]  # by row, of each seed the scores

NOTE = (
    "Estimates of transferability from the source's features and outputs for the labelled "
    "examples: higher promises more. Mean ± 95 % interval over seeds. A dash stands where there "
    "are too few examples."
)
RANKED = (
    " The rank is among the sources that are read for the same task and labels: its mean over the "
    "scores that all of them have, 1 promises most."
)


def section(experiment: Experiment, folders: dict[str, Folder]) -> str:
    """What `table.md` says of estimates; empty if no row reads the features of a run."""
    rows = [row for row in experiment.classics if row.features is not None]
    if not rows:
        return ""
    told = {row.name: folders[row.name].result()["promises"] for row in rows}
    names, places = list(told[rows[0].name][0]), ranks(rows, told)
    head, note = ["row", *names], NOTE
    body = [[row.name, *(cell(told[row.name], name) for name in names)] for row in rows]
    if places:
        head, note = [*head, "rank"], NOTE + RANKED
        body = [[*line, places.get(line[0], "-")] for line in body]
    return f"\n## Estimates of transferability\n\n{markdown(head, body)}\n{note}\n"


def ranks(rows: list[Classic], told: Told) -> dict[str, str]:
    """By row, its mean rank among those that read other sources for the same task and labels."""
    found = {}
    for row in rows:
        rivals = [one for one in rows if asks(one) == asks(row)]
        table = [means(told[one.name]) for one in rivals]
        common = [name for name in table[0] if all(scores[name] is not None for scores in table)]
        if len(rivals) > 1 and common:
            values = np.array([[scores[name] for name in common] for scores in table])
            each = mean_rank(values, (True,) * len(common))
            found[row.name] = f"{each[rivals.index(row)]:.1f}"
    return found


def asks(row: Classic) -> tuple:
    """What sources are read for."""
    return row.data, row.task, row.labelled, row.seeds, row.first_seed


def means(seeds: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Each score's mean over the seeds, None where a seed has none."""
    each = {name: [seed[name] for seed in seeds] for name in seeds[0]}
    return {n: None if None in values else np.mean(values) for n, values in each.items()}


def cell(seeds: list[dict[str, float | None]], name: str) -> str:
    """One estimate over the seeds."""
    values = [seed[name] for seed in seeds]
    return "-" if None in values else spread(np.array(values))
