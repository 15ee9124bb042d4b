"""Loops over steps and seeds, and sharding of arrays over a mesh."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mtl_jax.train import TrainData, TrainState


def shard_batch(mesh: Mesh, is_looped: bool, batch: Any) -> Any:
    """Shards the examples of a batch over the devices of a mesh, inside a step.

    A batch made by a loop is first computed in full on every device: its shards would otherwise
    be gathered at every iteration.
    """
    if mesh.size == 1:
        return batch
    if is_looped:
        batch = jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec()))
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec("batch")))


def device_put(tree: Any, sharding: NamedSharding) -> Any:
    """Places arrays with a sharding; for shapes, returns shapes with the sharding.

    Arrays on the host are the same in all processes, and each places what its devices get.
    """
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(tree)):
        return jax.tree.map(lambda leaf: leaf.update(sharding=sharding), tree)
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)
    return jax.tree.map(lambda leaf: place(leaf, sharding), tree)


def place(array: Any, sharding: NamedSharding) -> jax.Array:
    """Places an array on the devices of several processes."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        return jax.device_put(array, sharding)
    own = np.asarray(array)
    return jax.make_array_from_callback(own.shape, sharding, lambda index: own[index])


def scan_steps(
    step: Callable, loop: str, steps: int, state: TrainState, data: TrainData
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Runs several steps; metrics are averaged over them."""

    def body(state, _):
        return step(state, data)

    if steps == 1:  # XLA keeps a loop of one step, which slows down convolutions.
        return body(state, None)
    state, metrics = jax.lax.scan(
        body, state, length=steps, unroll=steps if loop == "unroll" else 1
    )
    return state, jax.tree.map(lambda metric: metric.mean(0), metrics)


def map_seeds(loop: str, function: Callable, axes: tuple) -> Callable:
    """Maps `function` of one seed over S seeds."""

    def unroll_seeds(*args):
        results = [function(*seed_of(axes, args, seed)) for seed in range(num_seeds(args))]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)

    def scan_seeds(*args):
        seeds = jnp.arange(num_seeds(args))
        return jax.lax.map(lambda seed: function(*seed_of(axes, args, seed)), seeds)

    def vmap_seeds(*args):
        # For one seed, XLA would transpose the gradients of batched products.
        if num_seeds(args) == 1:
            return unroll_seeds(*args)
        return jax.vmap(function, axes, spmd_axis_name="seed")(*args)

    return {"unroll": unroll_seeds, "map": scan_seeds, "vmap": vmap_seeds}[loop]


def map_train_data(
    loop: str, axis: int | None, function: Callable, state: TrainState, data: TrainData
) -> Any:
    """Maps a function `(state, data)` of one seed over the seeds, with the data's seed axis."""
    return map_seeds(loop, function, (0, data.in_axes(axis, 0)))(state, data)


def num_seeds(args: tuple) -> int:
    """Number of seeds S, from the first argument."""
    return jax.tree.leaves(args[0])[0].shape[0]


def seed_of(axes: tuple, args: tuple, seed: Any) -> list[Any]:
    """The arguments of one seed; axes are trees of prefixes, as those of `jax.vmap`."""
    return [take_index(tree, arg, seed) for tree, arg in zip(axes, args, strict=True)]


def is_axis(axis: Any) -> bool:
    """Whether this is a leaf of `vmap`'s axes: an integer or None."""
    return axis is None or isinstance(axis, int)


def take_index(axes: Any, tree: Any, index: Any) -> Any:
    """Slices of the leading axes of a tree; parts where the prefix `axes` is None have none."""

    def take_part(axis: int | None, part: Any) -> Any:
        return part if axis is None else jax.tree.map(lambda leaf: leaf[index], part)

    return jax.tree.map(take_part, axes, tree, is_leaf=is_axis)
