"""What a policy that learns takes from a step: how well probes of labelled images are recognised."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.config.run import Run, Task
from mtl_jax.core.model import Net
from mtl_jax.core.prng import named
from mtl_jax.core.protocols import LearntPolicy
from mtl_jax.losses.masked import known_entries
from mtl_jax.losses.target_type import target_type
from mtl_jax.train.batch import as_float, labelled
from mtl_jax.train.state import Given, Stream, TrainState, key_of


def taught(run: Run, net: Net, state: TrainState, given: Given, how: str) -> Any:
    """What the strong policy has learnt after a step.

    A labelled batch of its own is changed by chance, and judged by the averaged parameters of
    before the step: the score of an example is the probability of its label, as a mean over
    the tasks of classes, or of yes or no, whose label it has.

    Args:
      run: what is trained.
      net: its net.
      state: of before the step.
      given: what it trains on.
      how: how images go through policies with branches.
    """
    if not isinstance(run.strong, LearntPolicy):
        return state.augment
    learnt = state.augment
    for name, stream in given.streams.items():
        key = named(key_of(state, name), "probe")
        rows, _, labels, mask = labelled(run, stream, stream.known, key, state.step)
        images, choices = probed(run.strong, stream, rows, jax.random.fold_in(key, state.step), how)
        outputs, _ = net.apply(state.ema, state.stats, images, train=False)
        here = [task for task in run.tasks if task.name in labels]
        scores, count = recognised(here, outputs.logits, labels, mask)
        learnt = run.strong.learn(learnt, choices, scores, count > 0)
    return learnt


def probed(policy: LearntPolicy, stream: Stream, rows: jax.Array, key: jax.Array, how: str) -> Any:
    """Images `[B, ...]` changed by chance, and how."""
    pairs = jax.random.split(key, rows.shape[0]), as_float(stream.image[rows])
    if how == "map":
        return jax.lax.map(lambda pair: policy.probe(*pair), pairs)
    return jax.vmap(policy.probe)(*pairs)


def recognised(
    tasks: list[Task],
    logits: dict[str, jax.Array],
    labels: dict[str, jax.Array],
    mask: dict[str, jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """Mean probability of the labels that there are `[B]`, and how many `[B]`; not of numbers."""
    total, count = jnp.zeros(()), jnp.zeros((), jnp.int32)
    for task in tasks:
        name = task.name
        found = probability(task, logits[name], labels[name], mask[name])
        if found is not None:
            total = total + jnp.where(mask[name], found, 0.0)
            count = count + mask[name].astype(jnp.int32)
    return total / jnp.maximum(count, 1).astype(jnp.float32), count


def probability(
    task: Task, logits: jax.Array, labels: jax.Array, mask: jax.Array
) -> jax.Array | None:
    """Probability `[B]` of a task's labels, of several a mean over the known; None of numbers.

    A user's own loss is taken for one of classes where labels are integers, and else for numbers.
    """
    kind = target_type(task.loss, task.outputs)
    if kind is None and jnp.issubdtype(labels.dtype, jnp.integer):
        kind = "binary" if task.outputs == 1 else "multiclass"
    if kind == "multiclass":
        hits = jnp.where(mask, labels, 0)[:, None]
        return jnp.take_along_axis(jax.nn.softmax(logits), hits, 1)[:, 0]
    if kind in ("binary", "multilabel"):
        labels = labels.reshape(logits.shape)
        known = known_entries(labels, mask)
        yes = labels.astype(logits.dtype) > 0.5
        found = jnp.where(known, jax.nn.sigmoid(jnp.where(yes, logits, -logits)), 0.0)
        return found.sum(1) / jnp.maximum(known.sum(1).astype(found.dtype), 1.0)
    return None
