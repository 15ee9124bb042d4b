"""Views that are made of plain ones: mixed, turned, and moved against the model."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.augment import cutmix, mixup, quarter_turns
from mtl_jax.core.validation import require
from mtl_jax.core.views import Adversarial, Mixed, Mixing, Rotated


def mixed(request: Mixed, key: jax.Array, images: dict[str, jax.Array]) -> tuple[jax.Array, Mixing]:
    """The images of plain views `{name: [n, ...]}` mixed, `[sum n, ...]`, and with whom."""
    own = jnp.concatenate([images[name] for name in request.parts])
    rule = "mixes images, numbers or signals, not tokens"
    require(jnp.issubdtype(own.dtype, jnp.floating), request, "parts", rule, str(own.dtype))
    order_key, ratio_key, place_key = jax.random.split(key, 3)
    if request.ratio is not None:
        partner = across(*(images[name].shape[0] for name in request.parts))
        ratio = jnp.full(own.shape[0], request.ratio)
        return mixup(own, own[partner], ratio), Mixing(partner, ratio)
    partner = jax.random.permutation(order_key, own.shape[0])
    ratio = jax.random.beta(ratio_key, request.alpha, request.alpha, own.shape[:1])
    ratio = ratio if request.each else jnp.broadcast_to(ratio[0], ratio.shape)
    ratio = jnp.maximum(ratio, 1.0 - ratio) if request.own_first else ratio
    if request.kind == "mixup":
        return mixup(own, own[partner], ratio), Mixing(partner, ratio)
    pasted, ratio = cutmix(place_key, own, own[partner], ratio)
    return pasted, Mixing(partner, ratio)


def across(first: int, second: int) -> jax.Array:
    """Places of the other part's examples, in order, of two parts one after the other `[n + m]`."""
    others = first + jnp.arange(first) % second
    return jnp.concatenate([others, jnp.arange(second) % first])


def rotated(
    request: Rotated, key: jax.Array, images: dict[str, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """The images of a plain view turned, and by how many quarters `[n]`, evenly dealt out."""
    own = images[request.of]
    turns = jax.random.permutation(key, jnp.arange(own.shape[0]) % 4)
    return jax.vmap(quarter_turns)(own, turns), turns


def adversarial(
    request: Adversarial, key: jax.Array, images: dict[str, jax.Array], predict: Callable
) -> jax.Array:
    """The images of a plain view moved by `predict`, a task's outputs for images."""
    own = images[request.of]
    outputs, push = jax.linearize(predict, own)
    pull = jax.linear_transpose(push, own)
    direction = unit(jax.random.normal(key, own.shape, own.dtype))
    for _ in range(request.iterations):
        direction = unit(pull(curved(request, outputs, push(direction)))[0])
    return jax.lax.stop_gradient(own + request.radius * direction)


def curved(request: Adversarial, outputs: jax.Array, change: jax.Array) -> jax.Array:
    """The curvature of the divergence at some outputs, times a change of them."""
    if request.target_type == "continuous":
        return change
    probability = jax.nn.softmax(outputs)
    return probability * (change - (probability * change).sum(-1, keepdims=True))


def unit(direction: jax.Array) -> jax.Array:
    """Each example's direction `[n, ...]`, brought to length 1; zeros stay zeros."""
    flat = direction.reshape(direction.shape[0], -1)
    largest = jnp.abs(flat).max(1, keepdims=True)
    flat = flat / jnp.where(largest > 0, largest, 1.0)  # The square of a slope may be no number.
    length = jnp.sqrt(jnp.square(flat).sum(1, keepdims=True))
    return (flat / jnp.where(length > 0, length, 1.0)).reshape(direction.shape)
