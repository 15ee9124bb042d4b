"""A model whose forward and backward passes take a part of the examples at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.core.model import Model
from mtl_jax.core.tree import Tree, num_examples


def in_microbatches(model: Model, count: int, loop: str) -> Model:
    """The model applied to microbatches one after the other, in training.

    Example i is in microbatch `i mod count`, so that each has its share of every view. A backward
    pass repeats the forward pass of a microbatch, whose activations alone are in memory. Losses
    see the outputs of all examples, so whatever compares examples, and every gradient, is that of
    the whole batch. BatchNorm normalizes each microbatch by its own statistics; running statistics
    are updated once, by the mean. Dropout and the like have a key per microbatch.

    Args:
      model: the model.
      count: number of microbatches, which divides the examples.
      loop: "scan" or "unroll".
    """
    if count == 1:
        return model

    def encode(params, stats, x, *, train, key=None, tasks=None):
        def one(params, stats, part, key):
            return model.encode(params, stats, part, train=train, key=key, tasks=tasks)

        return split_apply(one, count if train else 1, loop, (params, stats, x, key))

    def decode(heads, stats, features, *, train, key=None):
        def one(heads, stats, part, key):
            return model.decode(heads, stats, part, train=train, key=key)

        return split_apply(one, count if train else 1, loop, (heads, stats, features, key))

    return model._replace(encode=encode, decode=decode)


def split_apply(function: Callable, count: int, loop: str, args: tuple) -> tuple[Any, Tree]:
    """Applies `(params, stats, x, key) -> (y, stats)` to microbatches of x, and joins the results."""
    params, stats, x, key = args
    if count == 1:
        return function(params, stats, x, key)
    size = num_examples(x)
    if size % count:
        raise ValueError(
            f"{size} examples of a forward pass are no multiple of {count} microbatches"
        )
    parts = jax.tree.map(lambda leaf: split(leaf, count), x)
    body = jax.checkpoint(function)

    def one(place):
        part = jax.tree.map(lambda leaf: leaf[place], parts)
        return body(params, stats, part, None if key is None else jax.random.fold_in(key, place))

    if loop == "unroll":
        found = [one(place) for place in range(count)]
        y, after = jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)
    else:
        y, after = jax.lax.map(one, jnp.arange(count))
    return jax.tree.map(join, y), jax.tree.map(mean_statistic, after)


def split(leaf: jax.Array, count: int) -> jax.Array:
    """`[N, ...]` as `[count, N / count, ...]`, row i in part `i mod count`."""
    return jnp.swapaxes(leaf.reshape(-1, count, *leaf.shape[1:]), 0, 1)


def join(leaf: jax.Array) -> jax.Array:
    """The inverse of `split`."""
    return jnp.swapaxes(leaf, 0, 1).reshape(-1, *leaf.shape[2:])


def mean_statistic(leaf: jax.Array) -> jax.Array:
    """The mean of a statistic over microbatches `[count, ...]`; of a counter, the first."""
    return leaf.mean(0) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf[0]
