"""Forward-pass inputs of one stream, and outputs of models without gradient."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.config.run import Run
from mtl_jax.config.task import required_views
from mtl_jax.core.model import Model, forward, predict
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_types import (
    Batch,
    Features,
    ForwardPass,
    Outputs,
    SourceModel,
    StreamInputs,
    TrainState,
)
from mtl_jax.core.views import SeparatePass, TeacherView, view_key
from mtl_jax.train.batch import split_sizes
from mtl_jax.train.derived_views import vat_perturbation
from mtl_jax.train.view_requests import ViewRequests


def prepare_inputs(
    run: Run,
    model: Model,
    state: TrainState,
    batch: Batch,
    requests: ViewRequests,
    key: jax.Array,
    source: SourceModel | None = None,
) -> StreamInputs:
    """Groups a batch into forward passes, and runs the passes that need no gradient.

    Args:
      run: the run configuration.
      model: the model of the run.
      state: the state before the step, whose parameters are used for frozen students and
        adversarial views.
      batch: the batch of one stream.
      requests: the views of the stream's tasks.
      key: key for stochastic models and adversarial views.
      source: the source model (`init_from`), if any.
    """
    tasks = [task for task in run.tasks if task.name in batch.labels]
    names = tuple(task.name for task in tasks)
    passes = [concatenate_views("", [view_key(view) for view in requests.joint], batch)]
    outputs: Outputs = {}
    features: Features = {}
    for view in requests.separate:
        own = concatenate_views(view_key(view), view.views, batch)
        own = own._replace(sizes={own.name: own.images.shape[0]})
        if view.model == "student":
            passes.append(own)
            continue
        found = run_frozen(model, state, view, own, fold_in_name(key, own.name), names, source)
        features |= split_by_view(found[0], own.sizes)
        outputs |= split_by_view(found[1], own.sizes)
    for task in tasks:
        for view in required_views(task):
            if isinstance(view, TeacherView):
                own = outputs.setdefault(view_key(view), {})
                own[task.name] = batch.teacher[task.name].outputs
    for task, view in requests.adversarial:
        name = f"{view_key(view)}/{task}"

        def outputs_at(images, task=task, name=name):
            own = fold_in_name(key, name)
            return predict(model, state.params, state.batch_stats, images, own, (task,))[task]

        images = vat_perturbation(view, fold_in_name(key, name), batch.images, outputs_at)
        passes.append(ForwardPass(name, {name: images.shape[0]}, images))
    return StreamInputs(names, batch, tuple(passes), outputs, features)


def run_frozen(
    model: Model,
    state: TrainState,
    view: SeparatePass,
    own: ForwardPass,
    key: jax.Array,
    tasks: tuple[str, ...],
    source: SourceModel | None,
) -> tuple[Any, Any]:
    """Features and outputs of a separate pass, without gradient."""
    if view.model == "source":
        assert source is not None  # Runs with such views have a source model.
        params, batch_stats, train = source.params, source.batch_stats, False
    else:
        params = state.ema if view.model == "teacher" else state.params
        batch_stats, train = state.batch_stats, True
    return jax.lax.stop_gradient(
        forward(model, params, batch_stats, own.images, key, tasks, train=train)
    )


def concatenate_views(name: str, views: Any, batch: Batch) -> ForwardPass:
    """A forward pass of several concatenated views."""
    sizes = {view: batch.images[view].shape[0] for view in views}
    return ForwardPass(name, sizes, jnp.concatenate([batch.images[view] for view in views]))


def split_by_view(outputs: dict[str, Any], sizes: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Splits the outputs of a pass, `{name: [sum n, ...]}`, by view."""
    leaves, treedef = jax.tree.flatten(outputs)
    parts = [split_sizes(leaf, list(sizes.values())) for leaf in leaves]
    return {
        view: jax.tree.unflatten(treedef, [part[index] for part in parts])
        for index, view in enumerate(sizes)
    }
