"""The batch of a step: a pure function of the key and the step, augmented on the device."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.data import batch_index
from mtl_jax.keys import named
from mtl_jax.protocols import Policy
from mtl_jax.run import Run
from mtl_jax.train.state import Given


class Batch(NamedTuple):
    """Images as the net sees them: labelled, then the weak and the strong views."""

    images: jax.Array  # [B + 2U, ...], without unlabelled ones [B, ...]
    labels: dict[str, jax.Array]  # each [B, ...]
    mask: dict[str, jax.Array]  # each [B]
    index: jax.Array | None  # [U]


def pick(run: Run, given: Given, key: jax.Array, step: jax.Array) -> Batch:
    """Draws and augments the batch of a step.

    Labelled and unlabelled examples come in epochs of their own; the unlabelled pool is
    all training images, the labelled ones too. Weak and strong views of an image are
    augmented independently.

    Args:
      run: what is trained.
      given: its data.
      key: the key of the run's seed, the same at every step.
      step: `[]`.

    Returns:
      The batch; the same for the same key and step.
    """
    now = jax.random.fold_in(key, step)
    place = batch_index(named(key, "labelled"), step, given.index.shape[0], run.batch)
    rows = given.index[place]
    images = augmented(run.weak, named(now, "labelled"), given.image[rows])
    labels = {task.name: given.labels[task.name][rows] for task in run.tasks}
    mask = {task.name: given.mask[task.name][place] for task in run.tasks}
    if not run.learns_unlabelled:
        return Batch(images, labels, mask, None)
    size = run.batch * run.unlabelled_ratio
    index = batch_index(named(key, "unlabelled"), step, given.image.shape[0], size)
    unlabelled = given.image[index]
    weak = augmented(run.weak, named(now, "weak"), unlabelled)
    strong = augmented(run.strong, named(now, "strong"), unlabelled)
    return Batch(jnp.concatenate([images, weak, strong]), labels, mask, index)


def augmented(policy: Policy | None, key: jax.Array, images: jax.Array) -> jax.Array:
    """Applies a policy to each of the images `[N, ...]`, each with a key of its own."""
    images = as_float(images)
    if policy is None:
        return images
    return jax.vmap(policy)(jax.random.split(key, images.shape[0]), images)


def as_float(images: jax.Array) -> jax.Array:
    """Images as float32; whole numbers of 0..255 come to [0, 1]."""
    if jnp.issubdtype(images.dtype, jnp.integer):
        return images.astype(jnp.float32) / 255.0
    return images.astype(jnp.float32)
