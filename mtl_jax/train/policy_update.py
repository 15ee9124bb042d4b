"""Step extension that updates a learnable augmentation policy."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.config.task import Task
from mtl_jax.core.policy import LearnablePolicy
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_extension import POLICY, AfterContext, InitContext, StepExtension
from mtl_jax.core.step_types import Stream, TrainState, stream_key
from mtl_jax.core.tree import Tree, take
from mtl_jax.losses.masked import known_entries
from mtl_jax.losses.target_type import target_type
from mtl_jax.train.batch import PROBE, sample_labelled
from mtl_jax.train.views import as_float


@dataclasses.dataclass(frozen=True)
class PolicyUpdate(StepExtension):
    """Updates a learnable policy after each step.

    A separate labelled batch is augmented at random and evaluated with the averaged parameters
    before the step. The score of an example is the predicted probability of its label, averaged
    over its tasks with classes or binary labels.

    Attributes:
      policy: the run's strong policy.
    """

    policy: LearnablePolicy

    name = POLICY

    def init(self, context: InitContext) -> Tree:
        """Initial state of the policy."""
        return self.policy.init()

    def after_step(self, context: AfterContext, state: TrainState) -> TrainState:
        """Returns the state with the updated policy."""
        before, own = context.before, context.before.extensions[self.name]
        for name, stream in context.data.streams.items():
            key = fold_in_name(stream_key(before.key, name), PROBE)
            batch = sample_labelled(context.run, stream, stream.labelled, key, before.step)
            probe_key = jax.random.fold_in(key, before.step)
            images, choices = probe_batch(
                self.policy, stream, batch.places, probe_key, context.augment_loop
            )
            outputs, _ = context.model.apply(before.ema, before.batch_stats, images, train=False)
            tasks = [task for task in context.run.tasks if task.name in batch.labels]
            scores, count = label_probability(tasks, outputs.logits, batch.labels, batch.mask)
            own = self.policy.update(own, choices, scores, count > 0)
        return state._replace(extensions={**state.extensions, self.name: own})


def probe_batch(
    policy: LearnablePolicy, stream: Stream, places: jax.Array, key: jax.Array, loop: str
) -> Any:
    """Randomly augmented images `[B, ...]`, and the sampled choices."""
    pairs = jax.random.split(key, places.shape[0]), as_float(take(stream.inputs, places))
    if loop == "map":
        return jax.lax.map(lambda pair: policy.probe(*pair), pairs)
    return jax.vmap(policy.probe)(*pairs)


def label_probability(
    tasks: list[Task],
    logits: dict[str, jax.Array],
    labels: dict[str, jax.Array],
    mask: dict[str, jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """Mean probability `[B]` of the known labels, and their number `[B]`; skips regression."""
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
    """Probability `[B]` of a task's labels, averaged over known entries; None for regression.

    A custom loss is treated as classification if labels are integers, and as regression otherwise.
    """
    kind = target_type(task.loss, task.num_outputs)
    if kind is None and jnp.issubdtype(labels.dtype, jnp.integer):
        kind = "binary" if task.num_outputs == 1 else "multiclass"
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
