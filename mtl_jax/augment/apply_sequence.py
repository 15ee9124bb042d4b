"""Changes one after another, each drawn from a list: of one image, or of many in one loop."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp


def in_turn(
    changes: Sequence[Callable], places: jax.Array, drawn: tuple, grey: jax.Array
) -> jax.Array:
    """Applies changes to an image; under `jax.vmap` all of them are computed.

    Args:
      changes: `(grey [H, W, C], *drawn) -> grey` each.
      places: which of them `[steps]`; a place beyond the last is none.
      drawn: what each step takes, a tuple of `[steps, ...]`.
      grey: grey levels `[H, W, C]`.
    """

    def step(grey, each):
        place, taken = each
        return jax.lax.switch(place, (*changes, unchanged), grey, *taken), None

    # As a loop the changes are compiled once; unrolled it is no faster.
    return jax.lax.scan(step, grey, (places, drawn))[0]


def queued(
    changes: Sequence[Callable], places: jax.Array, drawn: tuple, grey: jax.Array
) -> jax.Array:
    """What `in_turn` makes of each of many images; only changes that happen are computed.

    One loop goes from change to change, not from image to image, so a step that is none costs
    nothing: on 2 CPU cores FixMatch's strong view took a fifth less time than with a loop over
    images. It should not be vmapped: every change would copy all images.

    Args:
      changes: `(grey [H, W, C], *drawn) -> grey` each.
      places: which of them `[N, steps]`; a place beyond the last is none.
      drawn: what each step takes, a tuple of `[N, steps, ...]`.
      grey: grey levels `[N, H, W, C]`.
    """
    if not places.size:
        return grey
    count = grey.shape[0]
    places, drawn = jax.tree.map(by_step, (places, drawn))
    none = places >= len(changes)
    # Those that happen come first, of each image in their order.
    order = jnp.argsort(none, stable=True).astype(jnp.int32)

    def change(turn, grey):
        own = order[turn]
        image = jax.lax.dynamic_index_in_dim(grey, own % count, keepdims=False)
        taken = jax.tree.map(lambda each: each[own], drawn)
        image = jax.lax.switch(places[own], changes, image, *taken)
        return jax.lax.dynamic_update_index_in_dim(grey, image, own % count, 0)

    return jax.lax.fori_loop(0, (~none).sum(), change, grey)


def by_step(array: jax.Array) -> jax.Array:
    """An array `[N, steps, ...]` as `[steps N, ...]`: the first step of all, then the second."""
    return jnp.moveaxis(array, 1, 0).reshape(-1, *array.shape[2:])


def unchanged(grey: jax.Array, *drawn) -> jax.Array:
    """Grey levels as they are."""
    return grey
