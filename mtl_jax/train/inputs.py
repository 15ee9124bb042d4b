"""What a step sees of one stream: images by pass, and outputs of models that do not learn."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config.run import Run
from mtl_jax.config.task import views_of
from mtl_jax.core.model import Net, by_task, without_heads
from mtl_jax.core.prng import named
from mtl_jax.core.views import Stored, name_of
from mtl_jax.train.batch import Batch, cut
from mtl_jax.train.derived_views import adversarial
from mtl_jax.train.state import Start, TrainState
from mtl_jax.train.view_requests import passes

# By view and head, outputs [n, C]; by view and task, features.
Outputs = dict[str, dict[str, jax.Array]]
Features = dict[str, dict[str, Any]]


class Sight(NamedTuple):
    """One stream of a step."""

    tasks: tuple[str, ...]
    batch: Batch
    # Each pass of the trained model: its name ("" for the one whose statistics are kept), its
    # views and how many images each has, and the images [sum n, ...].
    passes: tuple[tuple[str, dict[str, int], jax.Array], ...]
    fixed: Outputs
    read: Features  # of the models that do not learn


def look(
    run: Run,
    net: Net,
    state: TrainState,
    batch: Batch,
    key: jax.Array,
    anchor: Start | None = None,
) -> Sight:
    """Lays out a batch, and asks the models that do not learn.

    Args:
      run: what is trained.
      net: its net.
      state: of before the step; guesses and adversaries are those of its parameters.
      batch: of one stream.
      key: for nets that draw, and for adversaries.
      anchor: the net that the run started from, if it has a source.
    """
    here = [task for task in run.tasks if task.name in batch.labels]
    names = tuple(task.name for task in here)
    asked = passes(here)
    ways = [together("", [name_of(view) for view in asked.together], batch)]
    fixed: Outputs = {}
    read: Features = {}
    for view in asked.apart:
        way = together(name_of(view), view.parts, batch)
        whole = {name_of(view): way[2].shape[0]}
        if view.by == "student":
            ways.append((name_of(view), whole, way[2]))
            continue
        own = named(key, name_of(view))
        if view.by == "source":
            found = passed(net, anchor.params, anchor.stats, way[2], own, names, train=False)
        else:
            params = state.ema if view.by == "teacher" else state.params
            found = passed(net, params, state.stats, way[2], own, names, train=True)
        features, outputs = jax.lax.stop_gradient(found)
        fixed |= divided(outputs, whole)
        read |= divided(features, whole)
    for task in here:
        for view in views_of(task):
            if isinstance(view, Stored):
                said = fixed.setdefault(name_of(view), {})
                said[task.name] = batch.stored[task.name].outputs
    for task, view in asked.against:
        name = f"{name_of(view)}/{task}"

        def predict(images, task=task, name=name):
            own = named(key, name)
            return predicted(net, state.params, state.stats, images, own, (task,))[task]

        images = adversarial(view, named(key, name), batch.images, predict)
        ways.append((name, {name: images.shape[0]}, images))
    return Sight(names, batch, tuple(ways), fixed, read)


def together(name: str, views: Any, batch: Batch) -> tuple[str, dict[str, int], jax.Array]:
    """A pass of some views, one after the other."""
    sizes = {view: batch.images[view].shape[0] for view in views}
    return name, sizes, jnp.concatenate([batch.images[view] for view in views])


def predicted(
    net: Net, params: Any, stats: Any, images: jax.Array, key: jax.Array, tasks: tuple[str, ...]
) -> dict[str, jax.Array]:
    """Outputs of tasks' heads in training; the statistics are discarded."""
    return passed(net, params, stats, images, key, tasks, train=True)[1]


def passed(
    net: Net,
    params: Any,
    stats: Any,
    images: jax.Array,
    key: jax.Array,
    tasks: tuple[str, ...],
    train: bool,
) -> tuple[dict[str, Any], dict[str, jax.Array]]:
    """Features and outputs by task; the statistics are discarded."""
    body = without_heads(params)
    features, _ = net.encode(body, stats, images, train=train, key=key, tasks=tasks)
    features = {name: by_task(features, tasks)[name] for name in tasks}
    return features, net.decode(params["tasks"]["heads"], features)


def divided(outputs: dict[str, Any], sizes: dict[str, int]) -> dict[str, dict[str, Any]]:
    """What a pass gives, `{name: [sum n, ...]}`, by view."""
    lengths = list(sizes.values())
    leaves, outline = jax.tree.flatten(outputs)
    parts = [cut(leaf, lengths) for leaf in leaves]
    return {
        view: jax.tree.unflatten(outline, [part[place] for part in parts])
        for place, view in enumerate(sizes)
    }
