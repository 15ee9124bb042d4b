"""Jitted functions over the seeds; runs with the same model share traces and compilations."""

import functools
from typing import Any, NamedTuple

import jax
from jax.stages import Wrapped

from mtl_jax import train
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.model import Model
from mtl_jax.core.tree import Tree
from mtl_jax.nets import make_model
from mtl_jax.runner.loops import map_seeds
from mtl_jax.storage.seeds import seed_axis
from mtl_jax.train.frozen_encoder import with_features
from mtl_jax.train.state import Init

# XLA's default level takes up to 2 s to compile each random op of a new shape on a CPU; level 2
# gives the same bits in a tenth of the time. It is used for the initialization only: a training
# step would be 7 % slower.
INIT_COMPILER_OPTIONS = {"xla_backend_optimization_level": 2}
INIT_STATIC_ARGNUMS = (0, 1, 2, 4)


class ExampleSpec(NamedTuple):
    """Shapes and dtypes of an example's inputs, as a static argument."""

    leaves: tuple[jax.ShapeDtypeStruct, ...]
    treedef: jax.tree_util.PyTreeDef

    @classmethod
    def of(cls, inputs: Tree) -> "ExampleSpec":
        """The spec of an example of inputs `[N, ...]`, as passed to the model."""
        leaves, treedef = jax.tree.flatten(train.example_spec(inputs))
        return cls(tuple(leaves), treedef)

    @property
    def tree(self) -> Tree:
        """The shapes as a tree."""
        return self.treedef.unflatten(self.leaves)

    def __str__(self) -> str:
        texts = [f"{list(leaf.shape)} {leaf.dtype}" for leaf in self.leaves]
        return texts[0] if len(texts) == 1 else str(self.treedef.unflatten(texts))


class EvaluationConfig(NamedTuple):
    """The static argument of evaluations: equal for runs whose evaluations are the same."""

    seed_loop: str
    data_axis: int | None  # Seed axis of the data; None if all seeds share them.
    trunk: Any
    tasks: tuple[Task, ...]
    encoded: bool  # Whether inputs are features of the encoder.

    @property
    def model(self) -> Model:
        """The model that is evaluated."""
        model = make_model(self.trunk, {task.name: task.head_spec for task in self.tasks})
        return with_features(model) if self.encoded else model


def make_models(
    trunk: Any,
    outputs: tuple,
    example: "ExampleSpec",
    seeds: jax.Array,
    name: str = "init",
) -> Init:
    """Initial parameters and statistics `[S, ...]` of a model for examples of some shapes."""
    model = make_model(trunk, dict(outputs))
    return jax.vmap(lambda seed: train.init_model(model, seed, example.tree, name))(seeds)


init_models = jax.jit(
    make_models, static_argnums=INIT_STATIC_ARGNUMS, compiler_options=INIT_COMPILER_OPTIONS
)


def evaluate_seeds(
    config: EvaluationConfig, params: Tree, batch_stats: Tree, splits: Any
) -> train.Evaluation:
    """Evaluates models `[S, ...]` on every split, with or without a seed axis in the data."""
    evaluate = functools.partial(train.evaluate, config.model, config.tasks)
    mapped = map_seeds(config.seed_loop, evaluate, (0, 0, config.data_axis))
    return mapped(params, batch_stats, splits)


@functools.cache
def jit_evaluation(options: tuple[tuple[str, Any], ...]) -> Wrapped:
    """The jitted `evaluate_seeds`, compiled with options of XLA."""
    return jax.jit(evaluate_seeds, static_argnums=0, compiler_options=dict(options) or None)


@functools.partial(jax.jit, static_argnums=0)
def evaluate_hidden_seeds(
    config: EvaluationConfig, params: Tree, batch_stats: Tree, streams: Any, hidden: Any
) -> dict[str, dict[str, jax.Array]]:
    """Evaluates models `[S, ...]` on hidden labels, as in `train.evaluate_hidden`."""
    evaluate = functools.partial(train.evaluate_hidden, config.model, config.tasks)
    mapped = map_seeds(config.seed_loop, evaluate, (0, 0, config.data_axis, 0))
    return mapped(params, batch_stats, streams, hidden)


@functools.partial(jax.jit, static_argnums=(0, 1))
def precompute_seeds(
    seed_loop: str, run: Run, source: train.SourceModel, data: train.TrainData
) -> dict[str, Any]:
    """Precomputed values of the methods, `{task: [S, ...]}`, mapped over the seeds."""
    precompute = functools.partial(train.precompute, run, train.build_model(run))
    return map_seeds(seed_loop, precompute, (0, data.in_axes(seed_axis(run), 0)))(source, data)
