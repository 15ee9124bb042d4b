"""Comparison of the rows of two folders of results, A and B."""

import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from mtl_jax.core.validation import BadInput, few
from mtl_jax.metrics.bootstrap import BootstrapInterval, bootstrap_interval
from mtl_jax.metrics.comparison import delta_m, holm
from mtl_jax.metrics.interquartile_mean import interquartile_mean
from mtl_jax.metrics.mean_difference import MeanDifference, mean_difference
from mtl_jax.metrics.probability_of_improvement import probability_of_improvement
from mtl_jax.metrics.samples import are_finite
from mtl_jax.report.compared_rows import Sample, only_in_one, pair_rows, samples_of
from mtl_jax.report.stored_results import MetricFacts, StoredResults, read_results

DELTA_M = MetricFacts(higher_is_better=False, scale=1.0, unit_free=True)


class Line(NamedTuple):
    """One metric of two rows, or a mean of several; differences are B - A."""

    sample: Sample
    difference: MeanDifference
    bootstrap: BootstrapInterval
    interquartile_means: tuple[float, float]  # of A and B
    probability: float
    adjusted: float  # Holm's p-value


class Comparison(NamedTuple):
    """The lines of the rows, those of means over them, and notes."""

    first: StoredResults
    second: StoredResults
    lines: list[Line]
    means: list[Line]
    notes: list[str]


def compare(first: pathlib.Path, second: pathlib.Path) -> Comparison:
    """Compares the rows of the same name, or one run with each row of the other folder.

    Raises:
      BadInput: if a folder is missing or has no results, both are the same, or they have nothing
        in common.
    """
    if first.resolve() == second.resolve():
        raise BadInput(f"--compare must be given two folders, {first} and {second} are the same")
    a, b = read_results(first), read_results(second)
    found = [samples_of(name, *pair) for name, pair in pair_rows(a, b).items()]
    samples = [sample for own, _ in found for sample in own]
    notes = [note for _, own in found for note in own]
    if not samples:
        raise BadInput(f"--compare must be given rows with a metric in common: {few(notes)}")
    notes += [] if a.single or b.single else only_in_one(a, b)
    lines = [line_of(sample) for sample in samples]
    adjusted = holm([line.difference.p_value for line in lines])
    lines = [line._replace(adjusted=float(p)) for line, p in zip(lines, adjusted, strict=True)]
    means = []
    if a.single == b.single and len(samples) > 1:  # Else one run would count many times.
        means = means_of(samples)
        notes += ["no means over rows: values are not finite, not of the same seeds, or 0 in A"] * (
            not means
        )
    return Comparison(a, b, lines, means, notes)


def line_of(sample: Sample) -> Line:
    """Compares the values of one metric in two rows."""
    a, b = sample.first, sample.second
    return Line(
        sample=sample,
        difference=mean_difference(b, a, sample.paired),
        bootstrap=bootstrap_interval(b - a) if sample.paired else bootstrap_interval(b, a),
        interquartile_means=(interquartile_mean(a), interquartile_mean(b)),
        probability=improvement(sample),
        adjusted=math.nan,
    )


def improvement(sample: Sample) -> float:
    """Probability that B is better than A."""
    higher = sample.facts.higher_is_better
    return probability_of_improvement(sample.second, sample.first, higher)


def means_of(samples: Sequence[Sample]) -> list[Line]:
    """Means over rows and tasks, by seed: of each unit-free metric, and Δm of all if they differ.

    Empty unless all values are finite and of the same seeds.
    """
    seeds = (samples[0].seeds[0],) * 2
    if not all(each.seeds == seeds and are_finite(each.first, each.second) for each in samples):
        return []
    groups: dict[tuple[str, MetricFacts], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.key[1], sample.facts), []).append(sample)
    lines = [
        mean_of_metric(group)
        for (_, facts), group in groups.items()
        if facts.unit_free and len(group) > 1
    ]
    comparable = len(groups) == 1 and samples[0].facts.unit_free
    relative = [sample for sample in samples if sample.first.all()]  # Δm divides by them.
    return lines + [relative_mean(relative)] * (not comparable and bool(relative))


def mean_of_metric(samples: Sequence[Sample]) -> Line:
    """Compares the means of one metric; interquartile means are over all rows and seeds."""
    a, b = (
        np.stack(values) for values in ([s.first for s in samples], [s.second for s in samples])
    )
    mean = samples[0]._replace(
        row=f"mean of {len(samples)}",
        key=("", samples[0].key[1]),
        first=a.mean(0),
        second=b.mean(0),
        settings="-",
    )
    return line_of(mean)._replace(
        interquartile_means=(interquartile_mean(a.ravel()), interquartile_mean(b.ravel())),
        probability=float(np.mean([*map(improvement, samples)])),
    )


def relative_mean(samples: Sequence[Sample]) -> Line:
    """Compares by Δm of B against A, in percent, over metrics of any unit and direction."""
    deltas = delta_m(
        jnp.stack([jnp.asarray(sample.second) for sample in samples], -1),
        jnp.stack([jnp.asarray(sample.first) for sample in samples], -1),
        tuple(sample.facts.higher_is_better for sample in samples),
    )
    mean = samples[0]._replace(
        row=f"mean of {len(samples)}",
        key=("", "Δm %"),
        facts=DELTA_M,
        first=np.zeros(deltas.shape),
        second=np.asarray(deltas, np.float64),
        settings="-",
    )
    return line_of(mean)._replace(probability=float(np.mean([*map(improvement, samples)])))
