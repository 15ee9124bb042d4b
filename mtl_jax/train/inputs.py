"""Forward-pass inputs of one stream, and outputs of models without gradient."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.config.task import required_views
from mtl_jax.core.model import forward, predict
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_types import (
    Batch,
    Features,
    ForwardPass,
    Outputs,
    StepInputs,
    StreamInputs,
)
from mtl_jax.core.views import AdversarialView, SeparatePass, TeacherView, view_key
from mtl_jax.train.batch import split_sizes
from mtl_jax.train.derived_views import vat_perturbation
from mtl_jax.train.view_requests import ViewRequests


def prepare_inputs(step: StepInputs, batch: Batch, requests: ViewRequests) -> StreamInputs:
    """Groups a batch into forward passes, and runs the passes that need no gradient.

    Frozen students and adversarial views use the parameters before the step.

    Args:
      step: run, model, state and key of the step.
      batch: the batch of one stream.
      requests: the views of the stream's tasks.
    """
    tasks = [task for task in step.run.tasks if task.name in batch.labels]
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
        found = run_frozen(step, view, own, names)
        features |= split_by_view(found[0], own.sizes)
        outputs |= split_by_view(found[1], own.sizes)
    for task in tasks:
        for view in required_views(task):
            if isinstance(view, TeacherView):
                by_task = outputs.setdefault(view_key(view), {})
                by_task[task.name] = batch.teacher[task.name].outputs
    for task, view in requests.adversarial:
        passes.append(adversarial_pass(step, batch, task, view))
    return StreamInputs(names, batch, tuple(passes), outputs, features)


def run_frozen(
    step: StepInputs, view: SeparatePass, own: ForwardPass, tasks: tuple[str, ...]
) -> tuple[Any, Any]:
    """Features and outputs of a separate pass, without gradient."""
    state, source = step.state, step.source
    if view.model == "source":
        assert source is not None  # Runs with such views have a source model.
        params, batch_stats, train = source.params, source.batch_stats, False
    else:
        params = state.ema if view.model == "teacher" else state.params
        batch_stats, train = state.batch_stats, True
    key = fold_in_name(step.key, own.name)
    return jax.lax.stop_gradient(
        forward(step.model, params, batch_stats, own.images, key, tasks, train=train)
    )


def adversarial_pass(
    step: StepInputs, batch: Batch, task: str, view: AdversarialView
) -> ForwardPass:
    """The pass of a task's adversarial images, which have their own perturbation."""
    name = f"{view_key(view)}/{task}"
    key, state = fold_in_name(step.key, name), step.state

    def outputs_at(images):
        found = predict(step.model, state.params, state.batch_stats, images, key, (task,))
        return found[task]

    images = vat_perturbation(view, key, batch.images, outputs_at)
    return ForwardPass(name, {name: images.shape[0]}, images)


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
