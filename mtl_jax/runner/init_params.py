"""The parameters that a run starts from: of a finished run, or of a file of weights."""

from typing import Any

import jax
import numpy as np

from mtl_jax.config.init_checks import layers_of, preprocessing_of
from mtl_jax.config.run import Run
from mtl_jax.core.validation import require
from mtl_jax.storage.run_data import described, single_seed
from mtl_jax.storage.run_directory import Folder
from mtl_jax.storage.trained_params import trained
from mtl_jax.train import example


def initial_parameters(run: Run, folders: dict[str, Folder]) -> tuple[Any, Any] | None:
    """Parameters and statistics that a run starts from, for every seed."""
    if run.source is None:
        return None
    if not isinstance(run.source, Run):
        return from_file(run)
    source, why = run.source, "other runs start from it"
    task = source.tasks[0].name  # The only one, if it selects for each task.
    return trained(source, folders[source.name], run.source_parameters, task, why)


def from_file(run: Run) -> tuple[Any, Any]:
    """Parameters and statistics of a file, the same for every seed; its head is named `source`."""
    streams = single_seed(run, described(run)).streams.values()
    trunk = layers_of(run.trunk)[-1]
    plain = hasattr(trunk, "apply") and not hasattr(trunk, "tasks")
    require(plain, run, "trunk", "must be a plain trunk, to take a file over", trunk)
    image = example(next(iter(streams)).image)
    loaded = run.source.load(trunk, image.shape, dtype=image.dtype)
    expects, does = loaded.preprocessing, preprocessing_of(run.trunk)
    rule = f"must bring images to what the weights expect: nets.Preprocessed(trunk, {expects!r})"
    require(expects is None or does == [expects], run, "trunk", rule, run.trunk)
    heads = {} if loaded.head is None else {"source": loaded.head}
    params = {"shared": loaded.params, "tasks": {"heads": heads}}
    return jax.tree.map(lambda leaf: np.stack([leaf] * run.seeds), (params, loaded.stats))
