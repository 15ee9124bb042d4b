"""Batch sampling: a pure function of the key and the step, augmented on the device."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.config.run import Run
from mtl_jax.core.policy import LearnablePolicy, Policy
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_types import Batch, LabelledSubset, Stream
from mtl_jax.core.views import MEDIUM, STRONG, WEAK, MixedView, view_key
from mtl_jax.data import batch_index
from mtl_jax.train.derived_views import mix_views, rotate_view
from mtl_jax.train.view_requests import ViewRequests


class Sampler(NamedTuple):
    """Settings of batch sampling, and the state of a learnable policy."""

    run: Run
    loop: str  # Loop over the images for policies with branches, "vmap" or "map".
    policy_state: Any


class LabelledBatch(NamedTuple):
    """The labelled examples of a step."""

    rows: jax.Array  # [B], indices in the stream.
    index: jax.Array  # [B], indices among the labelled examples.
    labels: dict[str, jax.Array]  # By task, [B, ...].
    mask: dict[str, jax.Array]  # By task, [B].


def sample_batch(
    sampler: Sampler, stream: Stream, requests: ViewRequests, key: jax.Array, step: jax.Array
) -> Batch:
    """Samples and augments the batch of a step from one stream.

    Labelled and unlabelled examples have independent epochs. The unlabelled pool is all training
    images, including the labelled ones, unless the data specifies a pool. Each view of an image
    is augmented independently.

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
    given = sample_labelled(run, stream, stream.labelled, fold_in_name(key, "labelled"), step)
    augment_key = jax.random.fold_in(fold_in_name(key, "augment"), step)
    unlabelled = [name for name in requests.base if not name.startswith("labelled")]
    rows, index = dict.fromkeys(requests.base, given.rows), no_rows()
    teacher: dict[str, Any] = {}
    if unlabelled:
        size = run.batch_size * run.labels.unlabelled_ratio
        index = batch_index(fold_in_name(key, "unlabelled"), step, num_unlabelled(stream), size)
        pool = index if stream.pool is None else stream.pool[index]
        rows |= dict.fromkeys(unlabelled, pool)
        teacher = jax.tree.map(lambda array: array[pool], stream.teacher)
    images = augment_base_views(sampler, stream, requests, augment_key, rows)
    view_params = {}
    for view in requests.derived:
        name = view_key(view)
        own = fold_in_name(augment_key, name)
        if isinstance(view, MixedView):
            images[name], view_params[name] = mix_views(view, own, images)
        else:
            images[name], view_params[name] = rotate_view(view, own, images)
    return Batch(images, given.labels, given.mask, given.index, index, view_params, teacher)


def no_rows() -> jax.Array:
    """Empty indices `[0]`."""
    return jnp.zeros(0, jnp.int32)


def num_unlabelled(stream: Stream) -> int:
    """Number of unlabelled images of a stream, N."""
    return (stream.image if stream.pool is None else stream.pool).shape[0]


def augment_base_views(
    sampler: Sampler,
    stream: Stream,
    requests: ViewRequests,
    key: jax.Array,
    rows: dict[str, jax.Array],
) -> dict[str, jax.Array]:
    """The requested base views of a stream, by the rows `[n]` of each view."""
    run = sampler.run
    weak, strong = jax.random.split(key)
    policies = (
        (run.augmentation.weak, WEAK, weak),
        (run.augmentation.medium, MEDIUM, fold_in_name(key, "medium")),
        (run.augmentation.strong, STRONG, strong),
    )
    images = {}
    for policy, names, own in policies:
        names = [name for name in names if name in requests.base]
        if names:
            # Each random op costs compile time, so a policy augments all images in one call.
            parts = [rows[name] for name in names]
            image = stream.image[jnp.concatenate(parts)]
            image = augment_batch(policy, own, image, sampler.policy_state, sampler.loop)
            sizes = [len(part) for part in parts]
            images |= dict(zip(names, split_sizes(image, sizes), strict=True))
    return images


def split_sizes(array: jax.Array, sizes: list[int]) -> list[jax.Array]:
    """Splits an array `[sum n, ...]` into arrays `[n, ...]`."""
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    return jnp.split(array, ends)


def sample_heldout_batch(run: Run, stream: Stream, key: jax.Array, step: jax.Array) -> Batch:
    """Samples a batch of the held-out labelled examples, without augmentation."""
    assert stream.held_out is not None  # A bilevel weighting has held-out examples.
    given = sample_labelled(run, stream, stream.held_out, fold_in_name(key, "held"), step)
    images = {"labelled": as_float(stream.image[given.rows])}
    return Batch(images, given.labels, given.mask, given.index, no_rows(), {}, {})


def sample_labelled(
    run: Run, stream: Stream, subset: LabelledSubset, key: jax.Array, step: jax.Array
) -> LabelledBatch:
    """Samples the labelled examples of a step from one subset of a stream."""
    index = batch_index(key, step, subset.index.shape[0], run.batch_size)
    rows = subset.index[index]
    labels = {name: array[rows] for name, array in stream.labels.items()}
    mask = {name: array[index] for name, array in subset.mask.items()}
    return LabelledBatch(rows, index, labels, mask)


def example_spec(images: jax.Array | jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """Shape and dtype of one of the images `[N, ...]` as passed to the model."""
    found = jax.eval_shape(as_float, images)
    return jax.ShapeDtypeStruct(found.shape[1:], found.dtype)


@functools.partial(jax.jit, static_argnames=("policy", "loop"))
def augment_batch(
    policy: Policy | LearnablePolicy | None,
    key: jax.Array,
    images: jax.Array,
    policy_state: Any,
    loop: str,
) -> jax.Array:
    """Augments each of the images `[N, ...]` by a policy, with a separate key per image.

    Jitted, so that runs with the same policy share its trace.
    """
    images = as_float(images)
    if policy is None:
        return images
    keys = jax.random.split(key, images.shape[0])
    if isinstance(policy, LearnablePolicy):
        if loop == "map":
            return policy.apply_batched(keys, images, policy_state)
        return jax.vmap(policy, in_axes=(0, 0, None))(keys, images, policy_state)
    return policy.apply_batched(keys, images) if loop == "map" else jax.vmap(policy)(keys, images)


def as_float(images: jax.Array) -> jax.Array:
    """Images as float32, uint8 scaled to [0, 1]; other integers (tokens) unchanged."""
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / 255.0
    if jnp.issubdtype(images.dtype, jnp.integer):
        return images
    return images.astype(jnp.float32)
