"""Report section on transferability estimates of source models, and their ranking."""

from collections.abc import Mapping, Sequence

import numpy as np

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.metrics.comparison import mean_rank
from mtl_jax.report.formatting import format_interval, markdown
from mtl_jax.storage.run_directory import RunDirectory

SeedScores = Sequence[Mapping[str, float | None]]  # Scores of each seed; None if undefined.

NOTE = (
    "Estimates of transferability from the source's features and outputs for the labelled "
    "examples: higher promises more. Mean ± 95 % interval over seeds. A dash stands where there "
    "are too few examples."
)
RANKED = (
    " The rank is among the sources that are read for the same task and labels: its mean over the "
    "scores that all of them have, 1 promises most."
)


def section(experiment: Experiment, folders: Mapping[str, RunDirectory]) -> str:
    """The section of `table.md` on transferability; empty if no row uses features of a run."""
    rows = [row for row in experiment.sklearn_baselines if row.features_from is not None]
    if not rows:
        return ""
    scores = {row.name: folders[row.name].result()["promises"] for row in rows}
    names, ranks = list(scores[rows[0].name][0]), rank_rows(rows, scores)
    head, note = ["row", *names], NOTE
    body = [[row.name, *(cell(scores[row.name], name) for name in names)] for row in rows]
    if ranks:
        head, note = [*head, "rank"], NOTE + RANKED
        body = [[*line, ranks.get(line[0], "-")] for line in body]
    return f"\n## Estimates of transferability\n\n{markdown(head, body)}\n{note}\n"


def rank_rows(rows: Sequence[SklearnBaseline], scores: Mapping[str, SeedScores]) -> dict[str, str]:
    """Mean rank of each row among those with other source models for the same task and labels."""
    ranks = {}
    for row in rows:
        rivals = [rival for rival in rows if comparison_key(rival) == comparison_key(row)]
        means = [mean_scores(scores[rival.name]) for rival in rivals]
        common = [name for name in means[0] if all(name in mean for mean in means)]
        if len(rivals) > 1 and common:
            values = np.array([[mean[name] for name in common] for mean in means])
            mean_ranks = mean_rank(values, (True,) * len(common))
            ranks[row.name] = f"{mean_ranks[rivals.index(row)]:.1f}"
    return ranks


def comparison_key(row: SklearnBaseline) -> tuple:
    """Key of the rows that are ranked together: data, task, labels and seeds."""
    return row.data, row.task, row.num_labelled, row.num_seeds, row.first_seed


def scores_of(seeds: SeedScores, name: str) -> np.ndarray | None:
    """One score of all seeds `[S]`; None if it is undefined for a seed."""
    values = [seed[name] for seed in seeds]
    return None if None in values else np.array(values)


def mean_scores(seeds: SeedScores) -> dict[str, float]:
    """Mean over the seeds of each score that is defined for all of them."""
    values = {name: scores_of(seeds, name) for name in seeds[0]}
    return {name: float(v.mean()) for name, v in values.items() if v is not None}


def cell(seeds: SeedScores, name: str) -> str:
    """Formats one estimate over the seeds."""
    return format_interval(scores_of(seeds, name))
