"""Report section on transferability estimates of source models, and their ranking."""

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.metrics.comparison import mean_rank
from mtl_jax.report.formatting import format_interval, markdown
from mtl_jax.storage.run_directory import RunDirectory

SeedScores = dict[str, list[dict[str, float | None]]]  # by row, the scores of each seed

NOTE = (
    "Estimates of transferability from the source's features and outputs for the labelled "
    "examples: higher promises more. Mean ± 95 % interval over seeds. A dash stands where there "
    "are too few examples."
)
RANKED = (
    " The rank is among the sources that are read for the same task and labels: its mean over the "
    "scores that all of them have, 1 promises most."
)


def section(experiment: Experiment, folders: dict[str, RunDirectory]) -> str:
    """The section of `table.md` on transferability; empty if no row uses features of a run."""
    rows = [row for row in experiment.sklearn_baselines if row.features_from is not None]
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


def ranks(rows: list[SklearnBaseline], told: SeedScores) -> dict[str, str]:
    """Mean rank of each row among those with other source models for the same task and labels."""
    found = {}
    for row in rows:
        rivals = [one for one in rows if comparison_key(one) == comparison_key(row)]
        table = [means(told[one.name]) for one in rivals]
        common = [name for name in table[0] if all(scores[name] is not None for scores in table)]
        if len(rivals) > 1 and common:
            values = np.array([[scores[name] for name in common] for scores in table])
            each = mean_rank(values, (True,) * len(common))
            found[row.name] = f"{each[rivals.index(row)]:.1f}"
    return found


def comparison_key(row: SklearnBaseline) -> tuple:
    """Key of the rows that are ranked together: data, task, labels and seeds."""
    return row.data, row.task, row.num_labelled, row.num_seeds, row.first_seed


def means(seeds: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Mean of each score over the seeds; None if it is missing for a seed."""
    each = {name: [seed[name] for seed in seeds] for name in seeds[0]}
    return {n: None if None in values else np.mean(values) for n, values in each.items()}


def cell(seeds: list[dict[str, float | None]], name: str) -> str:
    """Formats one estimate over the seeds."""
    values = [seed[name] for seed in seeds]
    return "-" if None in values else format_interval(np.array(values))
