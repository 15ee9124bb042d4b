"""Tries each part of a run on the shapes of its data, so that what does not fit is named."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax import train
from mtl_jax.config.run import Run, Task
from mtl_jax.core.fingerprint import source_text
from mtl_jax.core.protocols import LearntPolicy
from mtl_jax.core.validation import BadInput, require
from mtl_jax.runner.compiled_run import draw
from mtl_jax.runner.error_messages import explained
from mtl_jax.storage.run_data import described, single_seed
from mtl_jax.storage.vocabulary_checks import check_kind

COUNT = 3  # Examples that parts are tried on: no stride makes 3 of 3.


def check_parts(run: Run) -> None:
    """Traces the trunk, the losses, the metrics and the augmentations of a run, each for itself.

    Nothing is computed and no data read.

    Raises:
      BadInput: naming the run, the field, what it was given, and where it failed.
    """
    given = single_seed(run, described(run))
    image = train.example(next(iter(given.streams.values())).image)
    shape = f"{list(image.shape)} {image.dtype}"
    where = f"run {run.name!r}: trunk {source_text(run.trunk)} does not take inputs {shape}"
    params, stats = drawn(run, given)
    images = jax.ShapeDtypeStruct((COUNT, *image.shape), image.dtype)
    apply = functools.partial(train.net_of(run).apply, train=False)
    one = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), (params, stats)
    )
    with explained(where, always=True):
        outputs = jax.eval_shape(apply, *one, images)[0].logits
    labels = {
        name: each for stream in given.streams.values() for name, each in stream.labels.items()
    }
    for task in run.tasks:
        found = outputs[task.name].shape
        if found[0] != COUNT:
            raise BadInput(f"{where} as N examples: {COUNT} of them give outputs {list(found)}")
        check_task(run, task, outputs[task.name], labels[task.name])
    for field in ("weak", "medium", "strong"):
        policy = getattr(run, field)
        if policy is not None:
            with explained(f"run {run.name!r}: Run.{field} on inputs {shape}", always=True):
                check_policy(policy, image.shape, str(image.dtype))


def drawn(run: Run, given: train.Given) -> tuple[Any, Any]:
    """Shapes `[S, ...]` of the parameters and statistics of a run's net.

    Raises:
      BadInput: if the trunk does not take the inputs.
    """
    image = train.example(next(iter(given.streams.values())).image)
    check_kind(run, image.dtype)
    shape = f"{list(image.shape)} {image.dtype}"
    where = f"run {run.name!r}: trunk {source_text(run.trunk)} does not take inputs {shape}"
    seeds = jax.ShapeDtypeStruct((run.seeds,), np.uint32)
    with explained(where, always=True):
        return draw.eval_shape(run.trunk, tuple(train.outputs_of(run).items()), image, seeds)


def check_task(run: Run, task: Task, logits: Any, labels: Any) -> None:
    """Requires a loss for each example, and a metric of one number."""
    seen = jax.ShapeDtypeStruct((COUNT, *labels.shape[1:]), labels.dtype)
    what = f"run {run.name!r}: task {task.name!r}"
    with explained(f"{what}: loss", always=True):
        loss = jax.eval_shape(task.loss, logits, seen)
    fine = getattr(loss, "shape", ())[:1] == (COUNT,) and jnp.issubdtype(loss.dtype, jnp.floating)
    rule = "must give a loss for each example, floats [B]"
    require(fine, f"{what}: Task", "loss", rule, loss)
    mask = jax.ShapeDtypeStruct((COUNT,), bool)
    with explained(f"{what}: metric", always=True):
        sums = jax.eval_shape(task.metric.sums, logits, seen, mask)
        value = jax.eval_shape(task.metric.compute, sums)
    fine = getattr(value, "shape", None) == ()
    require(fine, f"{what}: Task", "metric", "must compute one number, []", value)


@functools.lru_cache(maxsize=256)
def check_policy(policy: Callable, shape: tuple[int, ...], dtype: str) -> None:
    """Requires of an augmentation an example of the same shape and type."""
    learnt = (jax.eval_shape(policy.init),) if isinstance(policy, LearntPolicy) else ()
    key = jax.eval_shape(jax.random.key, 0)
    image = jax.ShapeDtypeStruct(shape, dtype)
    found = jax.eval_shape(policy, key, image, *learnt)
    fine = getattr(found, "shape", None) == shape and str(found.dtype) == dtype
    if not fine:
        raise BadInput(f"must give an example of the same shape and type, {policy!r} gives {found}")
