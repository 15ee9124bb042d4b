"""What a step sees of one stream: images by pass, and outputs of models that do not learn."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.keys import named
from mtl_jax.protocols import Net, without_heads
from mtl_jax.run import Run
from mtl_jax.task import views_of
from mtl_jax.train.batch import Batch, cut
from mtl_jax.train.made import adversarial
from mtl_jax.train.passes import passes
from mtl_jax.train.state import TrainState
from mtl_jax.views import Stored, name_of

# By view and head, outputs [n, C].
Outputs = dict[str, dict[str, jax.Array]]


class Sight(NamedTuple):
    """One stream of a step."""

    tasks: tuple[str, ...]
    batch: Batch
    # Each pass of the trained model: its name ("" for the one whose statistics are kept), its
    # views and how many images each has, and the images [sum n, ...].
    passes: tuple[tuple[str, dict[str, int], jax.Array], ...]
    fixed: Outputs


def look(run: Run, net: Net, state: TrainState, batch: Batch, key: jax.Array) -> Sight:
    """Lays out a batch, and asks the models that do not learn.

    Args:
      run: what is trained.
      net: its net.
      state: of before the step; guesses and adversaries are those of its parameters.
      batch: of one stream.
      key: for nets that draw, and for adversaries.
    """
    here = [task for task in run.tasks if task.name in batch.labels]
    names = tuple(task.name for task in here)
    asked = passes(here)
    ways = [together("", [name_of(view) for view in asked.together], batch)]
    fixed: Outputs = {}
    for view in asked.apart:
        way = together(name_of(view), view.parts, batch)
        whole = {name_of(view): way[2].shape[0]}
        if view.by == "student":
            ways.append((name_of(view), whole, way[2]))
            continue
        params = state.ema if view.by == "teacher" else state.params
        outputs = predicted(net, params, state.stats, way[2], named(key, name_of(view)), names)
        fixed |= divided(jax.lax.stop_gradient(outputs), whole)
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
    return Sight(names, batch, tuple(ways), fixed)


def together(name: str, views: Any, batch: Batch) -> tuple[str, dict[str, int], jax.Array]:
    """A pass of some views, one after the other."""
    sizes = {view: batch.images[view].shape[0] for view in views}
    return name, sizes, jnp.concatenate([batch.images[view] for view in views])


def predicted(
    net: Net, params: Any, stats: Any, images: jax.Array, key: jax.Array, tasks: tuple[str, ...]
) -> dict[str, jax.Array]:
    """Outputs of tasks' heads in training; the statistics are discarded."""
    features, _ = net.encode(without_heads(params), stats, images, train=True, key=key, tasks=tasks)
    if not isinstance(features, dict):
        features = dict.fromkeys(tasks, features)
    return net.decode(params["tasks"]["heads"], {name: features[name] for name in tasks})


def divided(outputs: dict[str, jax.Array], sizes: dict[str, int]) -> Outputs:
    """The outputs `{head: [sum n, C]}` of a pass, by view."""
    parts = {head: cut(array, list(sizes.values())) for head, array in outputs.items()}
    return {
        view: {head: arrays[place] for head, arrays in parts.items()}
        for place, view in enumerate(sizes)
    }
