"""The step of a run with a coach: the student studies, and the teacher hears how it went."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from mtl_jax.config.run import Run
from mtl_jax.core.model import Net, by_task, without_heads
from mtl_jax.core.prng import named
from mtl_jax.core.tree import average, merge
from mtl_jax.losses import cross_entropy
from mtl_jax.losses.masked import masked_mean
from mtl_jax.train.inputs import Sight, predicted
from mtl_jax.train.state import Coached, TrainState, counted, trainable

ByTask = dict[str, jax.Array]


def swapped(state: TrainState) -> TrainState:
    """The state with its two nets in each other's place: a step trains the teacher as its own."""
    other = state.coach
    own = other._replace(params=state.params, stats=state.stats, ema=state.ema, opt=state.opt)
    return state._replace(
        params=other.params, stats=other.stats, ema=other.ema, opt=other.opt, coach=own
    )


def coached(
    run: Run, net: Net, state: TrainState, sights: list[Sight], outputs: ByTask, key: jax.Array
) -> tuple[ByTask, Coached, ByTask]:
    """What the student's progress adds to each task's loss of the teacher.

    Args:
      run: with a `Coach`.
      net: of both.
      state: of before the step, the teacher's; the student is its `coach`.
      sights: of every stream.
      outputs: the teacher's, `[U, C]` of the strong view by task; gradients flow into them.
      key: for nets that draw.

    Returns:
      By task, what is added `[]`; the student after its step; metrics.
    """
    setting, names = run.coach, [task.name for task in run.tasks]
    labels = {name: jax.lax.stop_gradient(outputs[name]).argmax(-1) for name in names}
    student, losses, fell = study(run, net, state.coach, sights, labels, key)
    centred = fell
    if setting.centre is not None:
        mean = average(student.mean, fell, setting.centre)
        student, centred = student._replace(mean=mean), fell - mean
    added = {
        name: setting.feedback * signal * cross_entropy(outputs[name], labels[name]).mean()
        for name, signal in zip(names, centred, strict=True)
    }
    metrics = {f"feedback/{name}": h for name, h in zip(names, fell, strict=True)}
    metrics |= {f"student_loss/{name}": losses[name] for name in names}
    return added, student, metrics


def study(
    run: Run, net: Net, student: Coached, sights: list[Sight], labels: ByTask, key: jax.Array
) -> tuple[Coached, ByTask, jax.Array]:
    """A step of the student on labels `[U]` of the strong views.

    Returns:
      The student after it, with the statistics of its strong views; its losses `[]` by task;
      and by how much its losses of the labelled images fell, `[K]`.
    """
    kept, frozen = trainable(run, student.params)
    before = student.stats

    def lesson(kept):
        params, stats, losses = merge(kept, frozen), before, {}
        for sight in sights:
            images = sight.batch.images["strong"]
            features, stats = net.encode(
                without_heads(params),
                counted(stats, before),
                images,
                train=True,
                key=named(key, "lesson"),
                tasks=sight.tasks,
            )
            said = net.decode(params["tasks"]["heads"], by_task(features, sight.tasks))
            losses |= {n: cross_entropy(said[n], labels[n]).mean() for n in sight.tasks}
        return sum(losses.values()), (losses, stats)

    gradient, (losses, stats) = jax.grad(lesson, has_aux=True)(kept)
    updates, opt = run.optimizer.build(run.steps, run.plan).update(gradient, student.opt, kept)
    params = merge(optax.apply_updates(kept, updates), frozen)
    fell = examined(run, net, student.params, before, sights, key)
    fell = fell - examined(run, net, params, before, sights, key)
    return student._replace(params=params, stats=stats, opt=opt), losses, fell


def examined(
    run: Run, net: Net, params: Any, stats: Any, sights: list[Sight], key: jax.Array
) -> jax.Array:
    """The losses `[K]` of the labelled images, in training mode; statistics are discarded."""
    losses = {}
    for sight in sights:
        batch, own = sight.batch, named(key, "exam")
        said = predicted(net, params, stats, batch.images["labelled"], own, sight.tasks)
        for task in (task for task in run.tasks if task.name in sight.tasks):
            name = task.name
            losses[name] = masked_mean(task.loss, said[name], batch.labels[name], batch.mask[name])
    return jnp.stack([losses[task.name] for task in run.tasks])
