"""The batch of a step: a pure function of the key and the step, augmented on the device."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.data import batch_index
from mtl_jax.keys import named
from mtl_jax.protocols import Policy
from mtl_jax.run import Run
from mtl_jax.train.state import Known, Stream


class Batch(NamedTuple):
    """Images as the net sees them: labelled, then the weak and the strong views."""

    images: jax.Array  # [B + 2U, ...], without unlabelled ones [B, ...]
    labels: dict[str, jax.Array]  # each [B, ...]
    mask: dict[str, jax.Array]  # each [B]
    index: jax.Array | None  # [U]


def pick(run: Run, stream: Stream, key: jax.Array, step: jax.Array) -> Batch:
    """Draws and augments the batch of a step from one stream.

    Labelled and unlabelled examples come in epochs of their own; the unlabelled pool is
    all training images, the labelled ones too. Weak and strong views of an image are
    augmented independently.

    Args:
      run: what is trained.
      stream: where images come from.
      key: the key of the run's seed and of the stream, the same at every step.
      step: `[]`.

    Returns:
      The batch; the same for the same key and step.
    """
    rows, labels, mask = labelled(run, stream, stream.known, named(key, "labelled"), step)
    now = jax.random.fold_in(named(key, "augment"), step)
    if not any(task.consistency for task in run.tasks if task.name in labels):
        return Batch(augmented(run.weak, now, stream.image[rows]), labels, mask, None)
    size = run.batch * run.unlabelled_ratio
    index = batch_index(named(key, "unlabelled"), step, stream.image.shape[0], size)
    weak_key, strong_key = jax.random.split(now)
    # Every random draw costs compile time, so all that is weak is augmented in one go.
    weak = augmented(run.weak, weak_key, stream.image[jnp.concatenate([rows, index])])
    strong = augmented(run.strong, strong_key, stream.image[index])
    return Batch(jnp.concatenate([weak, strong]), labels, mask, index)


def pick_held(run: Run, stream: Stream, key: jax.Array, step: jax.Array) -> Batch:
    """A batch of the labelled examples that are not trained on, as they are."""
    rows, labels, mask = labelled(run, stream, stream.held, named(key, "held"), step)
    return Batch(as_float(stream.image[rows]), labels, mask, None)


def labelled(run: Run, stream: Stream, known: Known, key: jax.Array, step: jax.Array) -> tuple:
    """Places of a step's labelled examples `[B]`, their labels, and whose labels are there."""
    place = batch_index(key, step, known.index.shape[0], run.batch)
    rows = known.index[place]
    labels = {name: array[rows] for name, array in stream.labels.items()}
    return rows, labels, {name: array[place] for name, array in known.mask.items()}


@functools.partial(jax.jit, static_argnums=0)
def augmented(policy: Policy | None, key: jax.Array, images: jax.Array) -> jax.Array:
    """Applies a policy to each of the images `[N, ...]`, each with a key of its own.

    Jitted here, so that runs of one policy share its trace.
    """
    images = as_float(images)
    if policy is None:
        return images
    return jax.vmap(policy)(jax.random.split(key, images.shape[0]), images)


def as_float(images: jax.Array) -> jax.Array:
    """Images as float32; whole numbers of 0..255 come to [0, 1]."""
    if jnp.issubdtype(images.dtype, jnp.integer):
        return images.astype(jnp.float32) / 255.0
    return images.astype(jnp.float32)
