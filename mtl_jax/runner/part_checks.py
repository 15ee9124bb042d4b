"""Checks each part of a run on the shapes of its data, to name the part that does not fit."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax import train
from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.metric import HostMetric, Metric
from mtl_jax.core.policy import LearnablePolicy
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import BadInput, require
from mtl_jax.runner.error_messages import explain_errors, has_user_code
from mtl_jax.runner.seed_functions import ExampleSpec, init_models
from mtl_jax.storage.abstract_data import abstract_data, single_seed
from mtl_jax.storage.vocabulary_checks import check_kind

NUM_EXAMPLES = 3  # In the checks: no stride maps 3 to 3.


def check_parts(run: Run) -> None:
    """Traces the trunk, losses, metrics and augmentations of a run separately.

    Nothing is computed and no data is read.

    Raises:
      BadInput: naming the run, the field, its inputs, and where it failed.
    """
    data = single_seed(run, abstract_data(run))
    example = ExampleSpec.of(next(iter(data.streams.values())).inputs)
    where = f"run {run.name!r}: trunk {to_source(run.trunk)} does not take inputs {example}"
    model = init_abstract(run, data)
    inputs = with_examples(example.tree, NUM_EXAMPLES)
    apply = functools.partial(train.build_model(run).apply, train=False)
    params, stats = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), model
    )
    with explain_errors(where, always=True):
        outputs = jax.eval_shape(apply, params, stats, inputs)[0].logits
    labels = {
        name: array for stream in data.streams.values() for name, array in stream.labels.items()
    }
    for task in run.tasks:
        for leaf in jax.tree.leaves(outputs[task.name]):
            if leaf.shape[:1] != (NUM_EXAMPLES,):
                raise BadInput(
                    f"{where} as N examples: {NUM_EXAMPLES} of them give outputs {list(leaf.shape)}"
                )
        check_task(run, task, outputs[task.name], labels[task.name])
    for field, policy in run.augmentation.policies.items():
        where = f"run {run.name!r}: augmentation.{field} on inputs {example}"
        with explain_errors(where, always=True):
            check_policy(policy, example)


def with_examples(example: Tree, count: int) -> Tree:
    """Shapes `[count, ...]` of several examples."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape), leaf.dtype), example
    )


def init_abstract(run: Run, data: train.TrainData) -> tuple[Tree, Tree]:
    """Shapes `[S, ...]` of the parameters and statistics of a run's model.

    Raises:
      BadInput: if the trunk does not accept the inputs.
    """
    example = ExampleSpec.of(next(iter(data.streams.values())).inputs)
    if len(example.leaves) == 1:
        check_kind(run, example.leaves[0].dtype)
    where = f"run {run.name!r}: trunk {to_source(run.trunk)} does not take inputs {example}"
    seeds = jax.ShapeDtypeStruct((run.num_seeds,), np.uint32)
    with explain_errors(where, always=True):
        return init_models.eval_shape(
            run.trunk, tuple(train.head_specs(run).items()), example, seeds
        )


def check_task(run: Run, task: Task, logits: Any, labels: Any) -> None:
    """Requires a loss per example, and metrics of such outputs that are scalars."""
    labels = jax.ShapeDtypeStruct((NUM_EXAMPLES, *labels.shape[1:]), labels.dtype)
    where = f"run {run.name!r}: task {task.name!r}"
    with explain_errors(f"{where}: loss", always=True):
        loss = jax.eval_shape(task.loss, logits, labels)
    is_per_example = getattr(loss, "shape", ())[:1] == (NUM_EXAMPLES,)
    valid = is_per_example and jnp.issubdtype(loss.dtype, jnp.floating)
    rule = "must give a loss for each example, floats [B]"
    require(valid, f"{where}: Task", "loss", rule, loss)
    mask = jax.ShapeDtypeStruct((NUM_EXAMPLES,), bool)
    for metric in (metric for metric in task.metrics if isinstance(metric, Metric)):
        with explain_errors(f"{where}: metric {metric.name!r}", always=True):
            sums = jax.eval_shape(metric.from_model_output, logits, labels, mask)
            value = jax.eval_shape(metric.compute, sums)
        valid = getattr(value, "shape", None) == ()
        require(valid, f"{where}: Task", "metrics", "must compute one number each, []", value)
    for metric in (metric for metric in task.metrics if isinstance(metric, HostMetric)):
        if not has_user_code(metric):  # It may not expect values that are made up.
            with explain_errors(f"{where}: metric {metric.name!r}", always=True):
                metric.compute(*examples_of(logits, labels))


def examples_of(logits: Any, labels: Any) -> tuple[Any, np.ndarray]:
    """Outputs and labels of given shapes, with values that are valid for any task."""
    random = np.random.default_rng(0)
    outputs = jax.tree.map(lambda leaf: random.random(leaf.shape, np.float32), logits)
    return outputs, random.integers(0, 2, labels.shape).astype(labels.dtype)


@functools.lru_cache(maxsize=256)
def check_policy(policy: Callable, example: ExampleSpec) -> None:
    """Requires that an augmentation preserves the shapes and dtypes of an example."""
    state = (jax.eval_shape(policy.init),) if isinstance(policy, LearnablePolicy) else ()
    key = jax.eval_shape(jax.random.key, 0)
    output = jax.eval_shape(policy, key, example.tree, *state)
    leaves, treedef = jax.tree.flatten(output)
    found = [(leaf.shape, leaf.dtype) for leaf in leaves]
    expected = [(leaf.shape, leaf.dtype) for leaf in example.leaves]
    if treedef != example.treedef or found != expected:
        raise BadInput(
            f"must give an example of the same shape and type, {policy!r} gives {output}"
        )
