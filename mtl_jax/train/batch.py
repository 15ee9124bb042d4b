"""The batch of a step: a pure function of the key and the step, grouped into forward passes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config.run import Run
from mtl_jax.config.task import required_views
from mtl_jax.core.model import forward, predict
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_types import (
    Batch,
    Features,
    ForwardPass,
    LabelledSubset,
    Outputs,
    StepInputs,
    Stream,
    StreamInputs,
)
from mtl_jax.core.tree import Tree, concatenate, num_examples, take
from mtl_jax.core.views import (
    AdversarialView,
    CutMixView,
    MixedView,
    SeparatePass,
    TeacherView,
    view_key,
)
from mtl_jax.data import batch_index
from mtl_jax.train.view_requests import ViewRequests
from mtl_jax.train.views import (
    Sampler,
    as_float,
    augment_base_views,
    augment_jointly,
    cut_view,
    mix_views,
    rotate_view,
    split_sizes,
    vat_perturbation,
)

# Names of random streams.
LABELLED, HELD_OUT, UNLABELLED, PROBE = "labelled", "held", "unlabelled", "probe"


class LabelledBatch(NamedTuple):
    """The labelled examples of a step."""

    places: jax.Array  # [B], places in the arrays of the stream.
    index: jax.Array  # [B], indices among the labelled examples.
    labels: dict[str, jax.Array]  # By task, [B, ...].
    mask: dict[str, jax.Array]  # By task, [B].


def sample_batch(
    sampler: Sampler, stream: Stream, requests: ViewRequests, key: jax.Array, step: jax.Array
) -> Batch:
    """Samples and augments the batch of a step from one stream.

    Labelled and unlabelled examples have independent epochs. The unlabelled pool is all training
    examples, including the labelled ones, unless the data specifies a pool. The joint policy is
    applied once to each example; then each of its views is augmented independently.

    Args:
      sampler: the sampling settings.
      stream: the stream to sample from.
      requests: the views to make.
      key: the key of the run's seed and stream, the same at every step.
      step: the step, `[]`.

    Returns:
      The batch, which depends on the key and step only.
    """
    run = sampler.run
    labelled = sample_labelled(run, stream, stream.labelled, fold_in_name(key, LABELLED), step)
    augment_key = jax.random.fold_in(fold_in_name(key, "augment"), step)
    unlabelled = [name for name in requests.base if not name.startswith("labelled")]
    places, index = dict.fromkeys(requests.base, labelled.places), no_rows()
    teacher: dict[str, Any] = {}
    if unlabelled:
        index, rows = sample_unlabelled(run, stream, key, step)
        places |= dict.fromkeys(unlabelled, stream.places(rows))
        teacher = take(stream.teacher, rows)
    source, labels = stream.inputs, labelled.labels
    if run.augmentation.joint is not None:
        joint_key = fold_in_name(augment_key, "joint")
        source, labels, places = augment_jointly(run.augmentation.joint, joint_key, stream, places)
    inputs = augment_base_views(sampler, source, requests, augment_key, places)
    view_params = {}
    for view in requests.derived:
        name = view_key(view)
        own = fold_in_name(augment_key, name)
        if isinstance(view, MixedView):
            inputs[name], view_params[name] = mix_views(view, own, inputs)
        elif isinstance(view, CutMixView):
            inputs[name], view_params[name] = cut_view(view, own, inputs)
        else:
            inputs[name], view_params[name] = rotate_view(view, own, inputs)
    return Batch(inputs, labels, labelled.mask, labelled.index, index, view_params, teacher)


def no_rows() -> jax.Array:
    """Empty indices `[0]`."""
    return jnp.zeros(0, jnp.int32)


def sample_unlabelled(
    run: Run, stream: Stream, key: jax.Array, step: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The unlabelled examples of a step: their indices `[U]` in the pool, and in the stream."""
    size = run.batch_size * run.labels.unlabelled_ratio
    index = batch_index(fold_in_name(key, UNLABELLED), step, num_unlabelled(stream), size)
    return index, index if stream.pool is None else stream.pool[index]


def num_unlabelled(stream: Stream) -> int:
    """Number of unlabelled examples of a stream, N."""
    return num_examples(stream.inputs if stream.pool is None else stream.pool)


def sample_heldout_batch(run: Run, stream: Stream, key: jax.Array, step: jax.Array) -> Batch:
    """Samples a batch of the held-out labelled examples, without augmentation."""
    assert stream.held_out is not None  # A bilevel weighting has held-out examples.
    labelled = sample_labelled(run, stream, stream.held_out, fold_in_name(key, HELD_OUT), step)
    inputs = {"labelled": as_float(take(stream.inputs, labelled.places))}
    return Batch(inputs, labelled.labels, labelled.mask, labelled.index, no_rows(), {}, {})


def sample_labelled(
    run: Run, stream: Stream, subset: LabelledSubset, key: jax.Array, step: jax.Array
) -> LabelledBatch:
    """Samples the labelled examples of a step from one subset of a stream."""
    index = labelled_index(run, subset, key, step)
    places = stream.places(subset.index[index])
    labels = {name: array[places] for name, array in stream.labels.items()}
    mask = {name: array[index] for name, array in subset.mask.items()}
    return LabelledBatch(places, index, labels, mask)


def labelled_index(run: Run, subset: LabelledSubset, key: jax.Array, step: jax.Array) -> jax.Array:
    """Indices `[B]` among the examples of a subset that a step samples."""
    return batch_index(key, step, subset.index.shape[0], run.batch_size)


def example_spec(inputs: Tree) -> Tree:
    """Shapes and dtypes of one of the inputs `[N, ...]` as passed to the model."""
    found = jax.eval_shape(as_float, inputs)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), found)


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
        own = own._replace(sizes={own.name: num_examples(own.inputs)})
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
        forward(step.model, params, batch_stats, own.inputs, key, tasks, train=train)
    )


def adversarial_pass(
    step: StepInputs, batch: Batch, task: str, view: AdversarialView
) -> ForwardPass:
    """The pass of a task's adversarial images, which have their own perturbation."""
    name = f"{view_key(view)}/{task}"
    key, state = fold_in_name(step.key, name), step.state

    def outputs_at(inputs):
        found = predict(step.model, state.params, state.batch_stats, inputs, key, (task,))
        return found[task]

    inputs = vat_perturbation(view, key, batch.inputs, outputs_at)
    return ForwardPass(name, {name: inputs.shape[0]}, inputs)


def concatenate_views(name: str, views: Any, batch: Batch) -> ForwardPass:
    """A forward pass of several concatenated views."""
    sizes = {view: num_examples(batch.inputs[view]) for view in views}
    return ForwardPass(name, sizes, concatenate([batch.inputs[view] for view in views]))


def split_by_view(outputs: dict[str, Any], sizes: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Splits the outputs of a pass, trees of `[sum n, ...]` by name, by view."""
    parts = split_sizes(outputs, list(sizes.values()))
    return dict(zip(sizes, parts, strict=True))
