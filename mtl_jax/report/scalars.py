"""Scalars by tag, and settings by name, of a run: what trackers are sent."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.tracker import Setting
from mtl_jax.storage.run_metadata import flat_fields

SECTIONS = {"raw": "validation", "ema": "validation_ema"}


def record_scalars(record: Mapping[str, Any], first_seed: int) -> dict[str, float]:
    """Training and validation metrics of a record, by tag; see `mtl_jax.core.tracker.Tracker`.

    Test metrics are left out: nothing is to be selected by them.
    """
    values = {f"train/{name}": by_seed for name, by_seed in record["train"].items()}
    for kind, section in SECTIONS.items():
        for task, metrics in record.get("validation", {}).get(kind, {}).items():
            values |= {f"{section}/{task}/{name}": each for name, each in metrics.items()}
    return with_means(values, first_seed)


def result_scalars(result: Mapping[str, Any], first_seed: int) -> dict[str, float]:
    """Test metrics of the selected evaluation, by tag."""
    tests = [entry["test"] for entry in result["selected"]]
    values = {
        f"test/{task}/{name}": [test[task][name] for test in tests]
        for task, metrics in tests[0].items()
        for name in metrics
    }
    return with_means(values, first_seed)


def with_means(values: Mapping[str, Sequence[float]], first_seed: int) -> dict[str, float]:
    """The mean of each `[S]`; of several seeds also each value, as `seed_N/TAG`."""
    means = {tag: float(np.mean(by_seed)) for tag, by_seed in values.items()}
    seeds = {
        f"seed_{first_seed + seed}/{tag}": float(value)
        for tag, by_seed in values.items()
        for seed, value in enumerate(by_seed)
        if len(by_seed) > 1
    }
    return means | seeds


def flat_settings(row: Any) -> dict[str, Setting]:
    """Each field of a row, those of its groups by dotted names; others than scalars as a string."""
    return {
        name: value
        if value is None or isinstance(value, bool | int | float | str)
        else to_source(value)
        for name, value in flat_fields(row).items()
    }
