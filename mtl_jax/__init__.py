"""Multi-task, semi-supervised and transfer learning in JAX."""

import importlib
from typing import Any

# What a user names most, and where it lies; loaded when it is asked for.
FACE = {
    "Augmentation": "mtl_jax.config.run_groups",
    "BalanceOptions": "mtl_jax.config.balance_options",
    "DeviceMesh": "mtl_jax.config.device_mesh",
    "Evaluation": "mtl_jax.config.run_groups",
    "Execution": "mtl_jax.config.execution",
    "Experiment": "mtl_jax.config.experiment",
    "Halving": "mtl_jax.config.adaptive_search",
    "Initialization": "mtl_jax.config.run",
    "Labels": "mtl_jax.config.run",
    "PartitionRule": "mtl_jax.config.device_mesh",
    "Published": "mtl_jax.config.experiment",
    "Regularization": "mtl_jax.config.run_groups",
    "Run": "mtl_jax.config.run",
    "Task": "mtl_jax.config.task",
    "LogUniform": "mtl_jax.config.search_space",
    "TPE": "mtl_jax.config.adaptive_search",
    "Tuned": "mtl_jax.config.tuned",
    "Uniform": "mtl_jax.config.search_space",
    "aggregate": "mtl_jax.aggregation.balance",
    "balance": "mtl_jax.aggregation.balance",
    "load": "mtl_jax.predict.exported_model",
    "tune": "mtl_jax.config.tuned",
}
PACKAGES = (
    "aggregation", "augment", "config", "consistency", "core", "data", "domain_adaptation",
    "export", "html_report", "losses", "metrics", "nets", "predict", "report", "runner", "sharing", "solvers",
    "storage", "trackers", "train", "transfer", "weighting",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in FACE:
        return getattr(importlib.import_module(FACE[name]), name)
    if name == "optimizers":
        return importlib.import_module("mtl_jax.config.optimizers")
    if name in PACKAGES:
        return importlib.import_module(f"mtl_jax.{name}")
    raise AttributeError(f"module 'mtl_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *FACE, *PACKAGES, "optimizers"])
