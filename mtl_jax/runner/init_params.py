"""Initial parameters of a run (`init_from`), from a finished run or a file of weights."""

from collections.abc import Mapping

import jax
import numpy as np

from mtl_jax.config.init_checks import preprocessing_of, unwrap_trunk
from mtl_jax.config.run import Run
from mtl_jax.core.head_key import join_params
from mtl_jax.core.protocols import PretrainedWeights
from mtl_jax.core.tree import Tree
from mtl_jax.core.trunk import traits
from mtl_jax.core.validation import require
from mtl_jax.nets.encoder import PerTaskTrunk
from mtl_jax.storage.abstract_data import abstract_data, single_seed
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.trained_params import load_trained_params
from mtl_jax.train import example_spec


def initial_parameters(run: Run, folders: Mapping[str, RunDirectory]) -> tuple[Tree, Tree] | None:
    """Parameters and statistics of a run's `init_from`, for every seed; None without one."""
    source = run.initialization.init_from
    if source is None:
        return None
    if not isinstance(source, Run):
        return load_pretrained(run)
    why = "other runs start from it"
    task = source.tasks[0].name  # The only task, if the run selects per task.
    return load_trained_params(
        source, folders[source.name], run.initialization.parameters, task, why
    )


def load_pretrained(run: Run) -> tuple[Tree, Tree]:
    """Parameters and statistics of a run's file, the same for every seed; its head is `source`."""
    source = run.initialization.init_from
    assert isinstance(source, PretrainedWeights)
    streams = single_seed(run, abstract_data(run)).streams.values()
    trunk = unwrap_trunk(run.trunk)[-1]
    is_shared = not (traits(trunk).is_multitask or isinstance(trunk, PerTaskTrunk))
    require(is_shared, run, "trunk", "must be a plain trunk, to take a file over", trunk)
    example = example_spec(next(iter(streams)).inputs)
    rule = "is for data whose inputs are one array"
    require(
        isinstance(example, jax.ShapeDtypeStruct), run, "initialization.init_from", rule, source
    )
    loaded = source.load(trunk, example.shape, dtype=example.dtype)
    expected = loaded.preprocessing
    valid = expected is None or preprocessing_of(run.trunk) == [expected]
    rule = f"must bring images to what the weights expect: nets.Preprocessed(trunk, {expected!r})"
    require(valid, run, "trunk", rule, run.trunk)
    heads = {} if loaded.head is None else {"source": loaded.head}
    params = join_params({"shared": loaded.params, "tasks": {}}, heads)
    return jax.tree.map(lambda leaf: np.stack([leaf] * run.num_seeds), (params, loaded.stats))
