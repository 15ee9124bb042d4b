"""Rows of two folders of results, A and B, that are compared, and their common metrics."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.core.validation import BadInput, few
from mtl_jax.report.stored_results import Key, MetricFacts, StoredResults, StoredRow


class Sample(NamedTuple):
    """The values of one metric in two rows, in the unit of tables."""

    row: str
    key: Key
    facts: MetricFacts
    first: np.ndarray  # A, [R]
    second: np.ndarray  # B, [S]
    seeds: tuple[tuple[int, ...], tuple[int, ...]]  # of A and B
    settings: str  # "equal", or what differs

    @property
    def paired(self) -> bool:
        """Whether both rows have the same seeds."""
        return self.seeds[0] == self.seeds[1]


def pair_rows(a: StoredResults, b: StoredResults) -> dict[str, tuple[StoredRow, StoredRow]]:
    """The rows to compare, by the name of their line.

    They are the rows of the same name, or a single run and every other row of the other folder.

    Raises:
      BadInput: if there are none.
    """
    pairs = [
        (row, other)
        for row in a.rows.values()
        for other in b.rows.values()
        if a.single or b.single or row.name == other.name
    ]
    pairs = [(row, other) for row, other in pairs if row.path.resolve() != other.path.resolve()]
    if not pairs:
        there = [f"{each.path} has {few([*each.rows])}" for each in (a, b)]
        raise BadInput(f"--compare must be given rows of the same name: {', '.join(there)}")
    if a.single and b.single and pairs[0][0].name != pairs[0][1].name:
        return {f"{other.name} against {row.name}": (row, other) for row, other in pairs}
    return {other.name if a.single else row.name: (row, other) for row, other in pairs}


def only_in_one(a: StoredResults, b: StoredResults) -> list[str]:
    """Notes on the rows that only one folder has, or has finished."""
    notes = []
    for label, own, other in (("A", a, b), ("B", b, a)):
        names = [
            f"{name} (unfinished in the other)" if name in other.unfinished else name
            for name in own.rows
            if name not in other.rows
        ]
        notes += [f"only {label} has the rows {'; '.join(names)}"] * bool(names)
    return notes


def samples_of(name: str, row: StoredRow, other: StoredRow) -> tuple[list[Sample], list[str]]:
    """The metrics that two rows have in common, and notes on those that are not compared."""
    settings = describe_settings(row.metadata, other.metadata)
    samples, notes = [], []
    for label, keys in (
        ("A", [key for key in row.values if key not in other.values]),
        ("B", [key for key in other.values if key not in row.values]),
    ):
        notes += [f"{name}: only {label} has {few([*map(' '.join, keys)])}"] * bool(keys)
    for key in (key for key in row.values if key in other.values):
        facts = row.metrics.get(key) or other.metrics.get(key)
        if facts is None:
            notes.append(
                f"{name}: neither result says whether {' '.join(key)} is better high or low"
            )
        elif facts != other.metrics.get(key, facts):
            notes.append(f"{name}: {' '.join(key)} has another scale or direction in B")
        else:
            first, second = (facts.scale * each.values[key] for each in (row, other))
            seeds = (row.seeds, other.seeds)
            samples.append(Sample(name, key, facts, first, second, seeds, settings))
            notes += not_finite(samples[-1])
    return samples, notes


def not_finite(sample: Sample) -> list[str]:
    """Notes on the seeds whose values are not finite, for which reason nothing is computed."""
    notes = []
    for label, values, seeds in zip("AB", (sample.first, sample.second), sample.seeds, strict=True):
        lost = [
            str(seed) for seed, value in zip(seeds, values, strict=True) if not np.isfinite(value)
        ]
        where = f"in the seeds {', '.join(lost)} of {label}"
        notes += [f"{sample.row}: {' '.join(sample.key)} is not finite {where}"] * bool(lost)
    return notes


def describe_settings(first: Mapping[str, Any], second: Mapping[str, Any]) -> str:
    """Says whether two runs have the same settings, by their `run.json`, or which fields differ."""
    versions = {each["fingerprint"].partition("-")[0] for each in (first, second)}
    fields, others = first["fields"], second["fields"]
    names = sorted({*fields, *others} - {"name"})
    names = [name for name in names if fields.get(name) != others.get(name)]
    text = few(names) if names else "equal"
    inputs = [
        f"other {name}"
        for name in ("code", "data", "weights")
        if name not in names
        and first.get(name, second.get(name)) != second.get(name, first.get(name))
    ]
    return ", ".join(["another version" if len(versions) > 1 else text, *inputs])
