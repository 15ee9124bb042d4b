"""Results in a folder, read without the experiment file that made them."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mtl_jax import metrics
from mtl_jax.core.metric import MetricTraits
from mtl_jax.core.schema import require_schema
from mtl_jax.core.typechecked import no_default
from mtl_jax.core.validation import WRITTEN, BadInput
from mtl_jax.storage.files import read_json

Key = tuple[str, str]  # Task and metric.


class MetricFacts(NamedTuple):
    """What tables need of a metric."""

    higher_is_better: bool
    scale: float
    unit_free: bool


class StoredRow(NamedTuple):
    """The test values of a finished run, by seed."""

    path: pathlib.Path
    name: str
    seeds: tuple[int, ...]
    values: dict[Key, np.ndarray]  # [S], at the evaluation that validation selected, not scaled
    metrics: dict[Key, MetricFacts]  # not all in the results of older versions
    metadata: Mapping[str, Any]  # `run.json`


class StoredResults(NamedTuple):
    """The finished rows of a folder of results, or the one row if it is that of a run."""

    path: pathlib.Path
    rows: dict[str, StoredRow]
    unfinished: tuple[str, ...]
    single: bool


def read_results(path: pathlib.Path) -> StoredResults:
    """Reads the finished rows below a folder, or that of a run's own folder.

    Old runs that `--fresh` set aside do not count.

    Raises:
      BadInput: if the folder does not exist or has no finished run, or a file is damaged or of
        another schema.
    """
    if not path.is_dir():
        fault = "is no folder" if path.exists() else "does not exist"
        raise BadInput(f"--compare must be given folders of results, {path} {fault}")
    single = (path / "run.json").is_file()
    below = sorted(each for each in path.iterdir() if not WRITTEN.fullmatch(each.name))
    folders = [each for each in ([path] if single else below) if (each / "run.json").is_file()]
    found = {each.name: read_row(each) for each in folders}
    rows = {row.name: row for row in found.values() if row is not None}
    if not rows:
        raise BadInput(
            f"--compare must be given folders of results, {path} has no finished run with test "
            "values by seed"
        )
    unfinished = tuple(name for name, row in found.items() if row is None)
    return StoredResults(path, rows, unfinished, single)


def read_row(folder: pathlib.Path) -> StoredRow | None:
    """Reads the folder of a run; None if it is not finished or has no test values by seed."""
    metadata, result = (read_json(folder / name) for name in ("run.json", "result.json"))
    if metadata is None or result is None or "selected" not in result:
        return None
    require_schema(metadata, folder / "run.json")
    require_schema(result, folder / "result.json")
    entries = [entry["test"] for entry in result["selected"]]
    return StoredRow(
        path=folder,
        name=metadata["name"],
        seeds=tuple(result["seeds"]),
        values={
            (task, metric): np.array([entry[task][metric] for entry in entries], np.float64)
            for task, by_metric in entries[0].items()
            for metric in by_metric
        },
        metrics=metrics_of(result),
        metadata=metadata,
    )


def metrics_of(result: Mapping[str, Any]) -> dict[Key, MetricFacts]:
    """The metrics of a result; in older ones, which do not describe them, those of known names."""
    if "metrics" in result:
        return {
            (task, metric): MetricFacts(**facts)
            for task, by_metric in result["metrics"].items()
            for metric, facts in by_metric.items()
        }
    known = package_metrics()
    keys = [
        (task, name) for task, values in result["selected"][0]["test"].items() for name in values
    ]
    return {key: known[key[1]] for key in keys if key[1] in known}


def package_metrics() -> dict[str, MetricFacts]:
    """The metrics of this package by name, those that need no arguments and whose extra is there."""
    known = {}
    for kind in vars(metrics).values():
        is_metric = isinstance(kind, type) and issubclass(kind, MetricTraits)
        if is_metric and not any(map(no_default, dataclasses.fields(kind))):
            with contextlib.suppress(BadInput):
                metric = kind()
                facts = MetricFacts(metric.higher_is_better, metric.scale, metric.unit_free)
                known[metric.name] = facts
    return known
