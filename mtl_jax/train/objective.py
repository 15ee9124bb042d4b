"""The losses of every task on a step's batches: up to the features, and from there."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config.run import Run, Task
from mtl_jax.core.aux_inputs import Views
from mtl_jax.core.head_specs import Free
from mtl_jax.core.model import Net, Read, by_task, vectors, without_heads
from mtl_jax.core.prng import named
from mtl_jax.core.tree import merge
from mtl_jax.core.views import Adversarial, Stored, name_of
from mtl_jax.losses.masked import masked_mean
from mtl_jax.train.batch import Batch
from mtl_jax.train.cross_task_loss import across
from mtl_jax.train.inputs import Features, Sight, divided, look
from mtl_jax.train.meta_pseudo_labels import coached
from mtl_jax.train.state import Start, TrainState, counted


class Objective(NamedTuple):
    """Both parts of the losses on a batch, as functions of the trained parameters.

    `encode` has, for each stream of images, the tasks that it brings labels of and a function
    of all but the heads and of the statistics so far; of each pass, features are one array if
    all its tasks read the same, else `{task: array}`.
    """

    encode: tuple[tuple[tuple[str, ...], Callable[[Any, Any], tuple]], ...]  # -> features, stats
    score: Callable[[Any, Any], tuple]  # heads, {task: features} -> losses [K], the rest
    stats: Any  # before the step

    def losses(self, kept: Any) -> jax.Array:
        """The losses `[K]` alone."""
        features, stats = {}, self.stats
        for tasks, encode in self.encode:
            seen, stats = encode(without_heads(kept), counted(stats, self.stats))
            features |= read_by(seen, tasks)
        return self.score(kept["tasks"]["heads"], features)[0]


def objective(
    run: Run,
    net: Net,
    state: TrainState,
    frozen: Any,
    batches: dict[str, Batch],
    key: jax.Array,
    anchor: Start | None = None,
) -> Objective:
    """Makes the functions whose pullbacks are balanced.

    `L_k = mean over labelled of loss + weight * mean over U of consistency`. A stream goes
    forward once, all its views together, so BatchNorm sees the joint batch and its statistics
    move once; what asks for a pass of its own leaves no statistics. Several streams go one
    after the other.

    Args:
      run: what is trained.
      net: its net.
      state: statistics and running states of before the step.
      frozen: the parameters that are not differentiated.
      batches: the step's batch of every stream.
      key: for nets and methods that draw.
      anchor: the net that the run started from, if it has a source.

    Returns:
      The two functions; the rest is `(consistency, metrics, coach)`.
    """
    sights = [look(run, net, state, batch, key, anchor) for batch in batches.values()]
    by_name = {name: sight for sight in sights for name in sight.tasks}

    def encode(sight, kept, stats):
        params = merge(kept, without_heads(frozen))
        seen, after = [], stats
        for place, (name, _, images) in enumerate(sight.passes):
            own = named(key, name) if name else key
            features, moved = net.encode(
                params, stats, images, train=True, key=own, tasks=sight.tasks
            )
            seen.append(chosen(features, sight.tasks))
            after = moved if place == 0 else after
        return tuple(seen), after

    def score(kept, features):
        heads = merge(kept, frozen["tasks"]["heads"])
        outputs = {id(sight): scored(net, heads, sight, features) for sight in sights}
        read = {id(sight): read_in(sight, features) for sight in sights}
        said = {} if anchor is None else dict(anchor.said)
        totals, consistency, metrics = [], {}, {}
        for task in run.tasks:
            name, sight = task.name, by_name[task.name]
            call = functools.partial(net.call, heads)
            found = (outputs[id(sight)], read[id(sight)])
            views = seen_by(task, sight.batch, *found, call, state.step / run.steps, key)
            views = views._replace(opened=said.get(name))
            total, moved, seen = task_loss(task, views, state.consistency.get(name))
            totals.append(total)
            if task.consistency is not None:
                consistency[name] = moved
            metrics |= {f"{what}/{name}": value for what, value in seen.items()}
        if run.cross_task is not None:
            for sight in sights:
                related = across(run, net, heads, sight, outputs[id(sight)], features)
                for place, task in enumerate(run.tasks):
                    totals[place] = totals[place] + related.get(task.name, 0.0)
        coach = state.coach
        if run.coach is not None:
            strong = {n: outputs[id(sight)]["strong"][n] for n, sight in by_name.items()}
            added, coach, told = coached(run, net, state, sights, strong, key)
            totals = [total + added[t.name] for total, t in zip(totals, run.tasks, strict=True)]
            metrics |= told
        return jnp.stack(totals), (consistency, metrics, coach)

    parts = tuple((sight.tasks, functools.partial(encode, sight)) for sight in sights)
    return Objective(parts, score, state.stats)


def chosen(features: Any, tasks: tuple[str, ...]) -> Any:
    """A stream's features: one array for all its tasks, or those of its own tasks."""
    return {n: features[n] for n in tasks} if isinstance(features, dict) else features


def read_by(seen: tuple, tasks: tuple[str, ...]) -> dict[str, tuple]:
    """By task, the features that its head reads in every pass."""
    each = [by_task(features, tasks) for features in seen]
    return {name: tuple(features[name] for features in each) for name in tasks}


def scored(net: Net, heads: Any, sight: Sight, features: dict[str, tuple]) -> dict:
    """Outputs `{view: {head: [n, C]}}` for all that a stream's tasks see."""
    outputs = dict(sight.fixed)
    for place, (_, sizes, _) in enumerate(sight.passes):
        found = net.decode(heads, {name: features[name][place] for name in sight.tasks})
        outputs |= divided(found, sizes)
    return outputs


def read_in(sight: Sight, features: dict[str, tuple]) -> Features:
    """Features `{view: {task: [n, D]}}` of all that a stream's tasks see."""
    found = dict(sight.read)
    for place, (_, sizes, _) in enumerate(sight.passes):
        found |= divided({name: features[name][place] for name in sight.tasks}, sizes)
    return found


def seen_by(
    task: Task,
    batch: Batch,
    outputs: dict,
    read: Features,
    call: Callable,
    progress: jax.Array,
    key: jax.Array,
) -> Views:
    """What the loss of a task sees: outputs, features, maps, and heads that it calls by itself."""
    method, name = task.consistency, task.name
    asked = {"labelled": "labelled"} if "labelled" in outputs else {}
    views = method.views if method is not None else ()
    for view in views:
        own = f"{name_of(view)}/{name}" if isinstance(view, Adversarial) else name_of(view)
        asked[name_of(view)] = own
    extra = method.heads(task.outputs) if hasattr(method, "heads") else {}
    # What is stored has outputs only.
    features = {view: read[own][name] for view, own in asked.items() if own in read}
    return Views(
        logits={view: outputs[own][name] for view, own in asked.items()},
        labels=batch.labels[name],
        mask=batch.mask[name],
        index=batch.index,
        labelled_index=batch.place,
        heads={
            head: {
                view: outputs[own][f"{name}/{head}"]
                for view, own in asked.items()
                if f"{name}/{head}" in outputs[own]  # A teacher has no such head.
            }
            for head in extra
            if not isinstance(extra[head], Free)
        },
        drawn={
            **{view: batch.drawn[view] for view in asked if view in batch.drawn},
            **{name_of(v): batch.stored[name].weights for v in views if isinstance(v, Stored)},
        },
        progress=progress,
        key=named(key, name),
        features={view: vectors(each) for view, each in features.items()},
        maps={view: each.maps for view, each in features.items() if isinstance(each, Read)},
        call=lambda head, x: call(f"{name}/{head}" if head else name, x),
    )


def task_loss(task: Task, views: Views, state: Any) -> tuple[jax.Array, Any, dict]:
    """Loss `[]`, next consistency state and metrics of one task."""
    method = task.consistency
    if hasattr(method, "supervised"):
        supervised = method.supervised(views, task.loss, state)
    else:
        supervised = masked_mean(task.loss, views.logits["labelled"], views.labels, views.mask)
    if method is None:
        return supervised, None, {}
    losses, state, metrics = method.update(views, state)
    unlabelled = losses.mean()
    metrics = {**metrics, "unlabelled_loss": unlabelled}
    return supervised + method.weight * unlabelled, state, metrics
