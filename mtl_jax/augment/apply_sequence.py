"""Sequences of operations sampled from a list, applied to one image or to a batch in one loop."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp


def apply_ops(
    operations: Sequence[Callable], indices: jax.Array, args: tuple, gray: jax.Array
) -> jax.Array:
    """Applies operations to an image; under `jax.vmap` all of them are computed.

    Args:
      operations: `(gray [H, W, C], *args) -> gray` each.
      indices: index of the operation of each step `[steps]`; out of range is the identity.
      args: sampled arguments of each step, a tuple of `[steps, ...]`.
      gray: gray levels `[H, W, C]`.
    """

    def step(gray, inputs):
        index, step_args = inputs
        return jax.lax.switch(index, (*operations, identity), gray, *step_args), None

    # As a loop the operations are compiled once; unrolled it is no faster.
    return jax.lax.scan(step, gray, (indices, args))[0]


def apply_ops_batched(
    operations: Sequence[Callable], indices: jax.Array, args: tuple, gray: jax.Array
) -> jax.Array:
    """Applies `apply_ops` to a batch of images; only sampled operations are computed.

    One loop iterates over operations rather than images, so an identity step costs nothing: on 2
    CPU cores FixMatch's strong view took a fifth less time than with a loop over images. It
    should not be vmapped: every operation would copy all images.

    Args:
      operations: `(gray [H, W, C], *args) -> gray` each.
      indices: index of the operation of each step `[N, steps]`; out of range is the identity.
      args: sampled arguments of each step, a tuple of `[N, steps, ...]`.
      gray: gray levels `[N, H, W, C]`.
    """
    if not indices.size:
        return gray
    count = gray.shape[0]
    indices, args = jax.tree.map(steps_first, (indices, args))
    is_identity = indices >= len(operations)
    # Steps that are not the identity come first, in order within each image.
    order = jnp.argsort(is_identity, stable=True).astype(jnp.int32)

    def apply_next(i, gray):
        position = order[i]
        image = jax.lax.dynamic_index_in_dim(gray, position % count, keepdims=False)
        step_args = jax.tree.map(lambda array: array[position], args)
        image = jax.lax.switch(indices[position], operations, image, *step_args)
        return jax.lax.dynamic_update_index_in_dim(gray, image, position % count, 0)

    return jax.lax.fori_loop(0, (~is_identity).sum(), apply_next, gray)


def steps_first(array: jax.Array) -> jax.Array:
    """Reshapes `[N, steps, ...]` to `[steps N, ...]`: first steps first, then second."""
    return jnp.moveaxis(array, 1, 0).reshape(-1, *array.shape[2:])


def identity(gray: jax.Array, *args) -> jax.Array:
    """Returns the gray levels unchanged."""
    return gray
