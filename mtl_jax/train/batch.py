"""The batch of a step: a pure function of the key and the step, augmented on the device."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.augment import looped
from mtl_jax.config.run import Run
from mtl_jax.core.prng import named
from mtl_jax.core.protocols import LearntPolicy, Policy
from mtl_jax.core.views import MEDIUM, STRONG, WEAK, Mixed, name_of
from mtl_jax.data import batch_index
from mtl_jax.train.derived_views import mixed, rotated
from mtl_jax.train.state import Known, Stream, Taught
from mtl_jax.train.view_requests import Passes, passes


class Batch(NamedTuple):
    """Images as the net sees them, by the names of their views."""

    images: dict[str, jax.Array]  # each [n, ...]
    labels: dict[str, jax.Array]  # each [B, ...]
    mask: dict[str, jax.Array]  # each [B]
    place: jax.Array  # [B], among the labelled examples
    index: jax.Array | None  # [U], in the unlabelled pool
    drawn: dict[str, Any]  # by view, what was drawn to make it
    stored: dict[str, Taught]  # by task, what a teacher said of the unlabelled images [U]


def pick(run: Run, stream: Stream, key: jax.Array, step: jax.Array, learnt: Any, how: str) -> Batch:
    """Draws and augments the batch of a step from one stream.

    Labelled and unlabelled examples come in epochs of their own; the unlabelled pool is
    all training images, the labelled ones too, unless the data has one of its own. Every view of an image is augmented
    independently.

    Args:
      run: what is trained.
      stream: where images come from.
      key: the key of the run's seed and of the stream, the same at every step.
      step: `[]`.
      learnt: what the strong policy has learnt.
      how: how images go through policies with branches.

    Returns:
      The batch; the same for the same key and step.
    """
    rows, place, labels, mask = labelled(run, stream, stream.known, named(key, "labelled"), step)
    asked = passes([task for task in run.tasks if task.name in labels])
    now = jax.random.fold_in(named(key, "augment"), step)
    index = None
    if any(not name.startswith("labelled") for name in asked.plain):
        size = run.batch * run.unlabelled_ratio
        index = batch_index(named(key, "unlabelled"), step, unlabelled_in(stream), size)
    change = functools.partial(augmented, learnt=learnt, how=how)
    others = index if stream.pool is None or index is None else stream.pool[index]
    images = plain_views(run, stream, now, asked, rows, others, change)
    drawn = {}
    for view in asked.made:
        name = name_of(view)
        make = mixed if isinstance(view, Mixed) else rotated
        images[name], drawn[name] = make(view, named(now, name), images)
    stored = jax.tree.map(lambda array: array[others], stream.stored)
    return Batch(images, labels, mask, place, index, drawn, stored)


def unlabelled_in(stream: Stream) -> int:
    """How many images of a stream come unlabelled, N."""
    return (stream.image if stream.pool is None else stream.pool).shape[0]


def plain_views(
    run: Run,
    stream: Stream,
    key: jax.Array,
    asked: Passes,
    rows: jax.Array,
    index: jax.Array | None,
    change: Callable,
) -> dict[str, jax.Array]:
    """The plain views that are asked for, of labelled rows `[B]` and of the pool's `[U]`."""
    weak, strong = jax.random.split(key)
    policies = (
        (run.weak, WEAK, weak),
        (run.medium, MEDIUM, named(key, "medium")),
        (run.strong, STRONG, strong),
    )
    images = {}
    for policy, names, own in policies:
        here = [name for name in names if name in asked.plain]
        if here:
            # Every random draw costs compile time, so a policy changes all images in one go.
            taken = [rows if name.startswith("labelled") else index for name in here]
            seen = change(policy, own, stream.image[jnp.concatenate(taken)])
            images |= dict(zip(here, cut(seen, [len(part) for part in taken]), strict=True))
    return images


def cut(array: jax.Array, sizes: list[int]) -> list[jax.Array]:
    """Cuts an array `[sum n, ...]` into parts `[n, ...]`."""
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    return jnp.split(array, ends)


def pick_held(
    run: Run, stream: Stream, key: jax.Array, step: jax.Array, learnt: Any, how: str
) -> Batch:
    """A batch of the labelled examples that are not trained on, as they are."""
    rows, place, labels, mask = labelled(run, stream, stream.held, named(key, "held"), step)
    return Batch({"labelled": as_float(stream.image[rows])}, labels, mask, place, None, {}, {})


def labelled(run: Run, stream: Stream, known: Known, key: jax.Array, step: jax.Array) -> tuple:
    """A step's labelled examples `[B]`: in the pool, among them, labels, whose are there."""
    place = batch_index(key, step, known.index.shape[0], run.batch)
    rows = known.index[place]
    labels = {name: array[rows] for name, array in stream.labels.items()}
    return rows, place, labels, {name: array[place] for name, array in known.mask.items()}


def example(images: jax.Array | jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """What the net sees of one of the images `[N, ...]`: its shape, and its type."""
    found = jax.eval_shape(as_float, images)
    return jax.ShapeDtypeStruct(found.shape[1:], found.dtype)


@functools.partial(jax.jit, static_argnames=("policy", "how"))
def augmented(
    policy: Policy | LearntPolicy | None, key: jax.Array, images: jax.Array, learnt: Any, how: str
) -> jax.Array:
    """Applies a policy to each of the images `[N, ...]`, each with a key of its own.

    Jitted here, so that runs of one policy share its trace.
    """
    images = as_float(images)
    if policy is None:
        return images
    known = (learnt,) if isinstance(policy, LearntPolicy) else ()
    keys = jax.random.split(key, images.shape[0])
    if how == "map":
        return looped(policy, keys, images, *known)
    return jax.vmap(lambda key, image: policy(key, image, *known))(keys, images)


def as_float(images: jax.Array) -> jax.Array:
    """Images as float32; bytes come to [0, 1]. Other whole numbers (tokens) stay as they are."""
    if images.dtype == jnp.uint8:
        return images.astype(jnp.float32) / 255.0
    if jnp.issubdtype(images.dtype, jnp.integer):
        return images
    return images.astype(jnp.float32)
