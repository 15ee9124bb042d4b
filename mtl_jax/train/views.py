"""Makes the views of a batch: augmented, mixed, rotated and adversarially perturbed images."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.augment import mixup, rot90
from mtl_jax.augment.mix import sample_inner_rectangles, sample_rectangles
from mtl_jax.config.run import Run
from mtl_jax.core.base_views import MEDIUM, STRONG, WEAK
from mtl_jax.core.example_transform import Example, JointPolicy
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.policy import LearnablePolicy, Policy
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.step_types import Stream
from mtl_jax.core.tree import Tree, num_examples, take
from mtl_jax.core.validation import BadInput, require
from mtl_jax.core.views import AdversarialView, CutMixView, MixedView, RotatedView, View
from mtl_jax.train.view_requests import ViewRequests


class Sampler(NamedTuple):
    """Settings of batch sampling, and the state of a learnable policy."""

    run: Run
    loop: str  # Loop over the images for policies with branches, "vmap" or "map".
    policy_state: Any


def augment_jointly(
    policy: JointPolicy, key: jax.Array, stream: Stream, rows: dict[str, jax.Array]
) -> tuple[Tree, dict[str, jax.Array], dict[str, jax.Array]]:
    """Augments examples of a stream with their labels.

    Args:
      policy: the joint policy of the run.
      key: the key of the step.
      stream: the stream.
      rows: the rows `[n]` of each base view.

    Returns:
      The augmented inputs, the labels `[B, ...]` of the labelled examples, and the rows of each
      base view among the augmented inputs.
    """
    groups = {name.startswith("labelled"): index for name, index in rows.items()}
    order = jnp.concatenate(list(groups.values()))
    examples = Example(as_float(take(stream.inputs, order)), take(stream.labels, order))
    examples = policy.apply_batched(jax.random.split(key, len(order)), examples)
    parts = split_sizes(jnp.arange(len(order)), [len(index) for index in groups.values()])
    places = dict(zip(groups, parts, strict=True))
    labels = take(examples.labels, places.get(True, jnp.zeros(0, jnp.int32)))
    return examples.inputs, labels, {n: places[n.startswith("labelled")] for n in rows}


def augment_base_views(
    sampler: Sampler,
    inputs: Tree,
    requests: ViewRequests,
    key: jax.Array,
    rows: dict[str, jax.Array],
) -> dict[str, Tree]:
    """The requested base views of inputs `[N, ...]`, by the rows `[n]` of each view."""
    run = sampler.run
    weak, strong = jax.random.split(key)
    policies = (
        (run.augmentation.weak, WEAK, weak),
        (run.augmentation.medium, MEDIUM, fold_in_name(key, "medium")),
        (run.augmentation.strong, STRONG, strong),
    )
    views = {}
    for policy, names, own in policies:
        names = [name for name in names if name in requests.base]
        if names:
            # Each random op costs compile time, so a policy augments all examples in one call.
            parts = [rows[name] for name in names]
            found = take(inputs, jnp.concatenate(parts))
            found = augment_batch(policy, own, found, sampler.policy_state, sampler.loop)
            sizes = [len(part) for part in parts]
            views |= dict(zip(names, split_sizes(found, sizes), strict=True))
    return views


@functools.partial(jax.jit, static_argnames=("policy", "loop"))
def augment_batch(
    policy: Policy | LearnablePolicy | None,
    key: jax.Array,
    inputs: Tree,
    policy_state: Any,
    loop: str,
) -> Tree:
    """Augments each of the inputs `[N, ...]` by a policy, with a separate key per example.

    Jitted, so that runs with the same policy share its trace.
    """
    inputs = as_float(inputs)
    if policy is None:
        return inputs
    keys = jax.random.split(key, num_examples(inputs))
    if isinstance(policy, LearnablePolicy):
        if loop == "map":
            return policy.apply_batched(keys, inputs, policy_state)
        return jax.vmap(policy, in_axes=(0, 0, None))(keys, inputs, policy_state)
    return policy.apply_batched(keys, inputs) if loop == "map" else jax.vmap(policy)(keys, inputs)


def as_float(inputs: Tree) -> Tree:
    """Inputs as float32, uint8 scaled to [0, 1]; other integers (tokens) unchanged."""

    def one(array: jax.Array) -> jax.Array:
        if array.dtype == jnp.uint8:
            return array.astype(jnp.float32) / 255.0
        is_integer = jnp.issubdtype(array.dtype, jnp.integer)
        return array if is_integer else array.astype(jnp.float32)

    return jax.tree.map(one, inputs)


def split_sizes(tree: Tree, sizes: list[int]) -> list[Tree]:
    """Splits a tree of arrays `[sum n, ...]` into trees of `[n, ...]`."""
    leaves, treedef = jax.tree.flatten(tree)
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    parts = [jnp.split(leaf, ends) for leaf in leaves]
    return [treedef.unflatten([part[i] for part in parts]) for i in range(len(sizes))]


def mix_views(
    request: MixedView, key: jax.Array, inputs: dict[str, Tree]
) -> tuple[jax.Array, MixParams]:
    """Mixes the inputs of base views `{name: [n, ...]}`; returns `[sum n, ...]` and the mixing."""
    own = jnp.concatenate([require_array(request, inputs[name]) for name in request.views])
    rule = "mixes images, numbers or signals, not tokens"
    require(jnp.issubdtype(own.dtype, jnp.floating), request, "parts", rule, str(own.dtype))
    order_key, ratio_key, place_key = jax.random.split(key, 3)
    if request.fixed_lambda is not None:
        partner = cross_partner(*(inputs[name].shape[0] for name in request.views))
        ratio = jnp.full(own.shape[0], request.fixed_lambda)
        return mixup(own, own[partner], ratio), MixParams(partner, ratio)
    partner = jax.random.permutation(order_key, own.shape[0])
    ratio = jax.random.beta(ratio_key, request.alpha, request.alpha, own.shape[:1])
    ratio = ratio if request.per_example else jnp.broadcast_to(ratio[0], ratio.shape)
    ratio = jnp.maximum(ratio, 1.0 - ratio) if request.keep_dominant else ratio
    if request.kind == "mixup":
        return mixup(own, own[partner], ratio), MixParams(partner, ratio)
    require_images(request, own)
    return paste_partners(own, partner, *sample_rectangles(place_key, ratio, *own.shape[1:3]))


def cut_view(
    request: CutMixView, key: jax.Array, inputs: dict[str, Tree]
) -> tuple[jax.Array, MixParams]:
    """Pastes rectangles of the images of a base view into each other."""
    own = require_array(request, inputs[request.view])
    require_images(request, own)
    order_key, choice_key, area_key, place_key = jax.random.split(key, 4)
    partner = jax.random.permutation(order_key, own.shape[0])
    area = jax.random.uniform(area_key, own.shape[:1], own.dtype, *request.area)
    chosen = jax.random.bernoulli(choice_key, request.probability, own.shape[:1])
    area = jnp.where(chosen, area, 0.0)
    rectangles = sample_inner_rectangles(place_key, area, request.aspect, *own.shape[1:3])
    return paste_partners(own, partner, *rectangles)


def paste_partners(
    own: jax.Array, partner: jax.Array, rows: jax.Array, columns: jax.Array
) -> tuple[jax.Array, MixParams]:
    """Pastes a rectangle, by masks `[n, H]` and `[n, W]`, of each partner into images."""
    rectangle = rows[:, :, None] & columns[:, None, :]
    ratio_map = 1.0 - rectangle.astype(own.dtype)
    pasted = jnp.where(rectangle[..., None], own[partner], own)
    return pasted, MixParams(partner, ratio_map.mean((1, 2)), ratio_map)


def require_images(request: View, inputs: jax.Array) -> None:
    """Requires images `[n, H, W, C]`."""
    shape = inputs.shape[1:]
    require(inputs.ndim == 4, request, "view", "cuts images [H, W, C]", shape)


def require_array(request: Any, inputs: Tree) -> jax.Array:
    """The inputs, which a view needs as one array."""
    if not isinstance(inputs, jax.Array):
        raise BadInput(
            f"{request!r} needs inputs that are one array, not a {type(inputs).__name__}"
        )
    return inputs


def cross_partner(first: int, second: int) -> jax.Array:
    """Indices `[n + m]` that pair each example with one of the other of two concatenated parts."""
    others = first + jnp.arange(first) % second
    return jnp.concatenate([others, jnp.arange(second) % first])


def rotate_view(
    request: RotatedView, key: jax.Array, inputs: dict[str, Tree]
) -> tuple[jax.Array, jax.Array]:
    """Rotates the images of a base view; returns them and their quarter turns `[n]`, balanced."""
    own = require_array(request, inputs[request.view])
    turns = jax.random.permutation(key, jnp.arange(own.shape[0]) % 4)
    return jax.vmap(rot90)(own, turns), turns


def vat_perturbation(
    request: AdversarialView, key: jax.Array, inputs: dict[str, Tree], predict: Callable
) -> jax.Array:
    """Adversarially perturbs a base view against `predict`, a task's outputs for images."""
    own = require_array(request, inputs[request.view])
    outputs, jvp_fn = jax.linearize(predict, own)
    vjp_fn = jax.linear_transpose(jvp_fn, own)
    direction = l2_normalize(jax.random.normal(key, own.shape, own.dtype))
    for _ in range(request.iterations):
        direction = l2_normalize(vjp_fn(kl_hessian_product(request, outputs, jvp_fn(direction)))[0])
    return jax.lax.stop_gradient(own + request.radius * direction)


def kl_hessian_product(
    request: AdversarialView, outputs: jax.Array, change: jax.Array
) -> jax.Array:
    """Product of the Hessian of the divergence at the outputs with a change of the outputs."""
    if request.target_type == "continuous":
        return change
    probability = jax.nn.softmax(outputs)
    return probability * (change - (probability * change).sum(-1, keepdims=True))


def l2_normalize(direction: jax.Array) -> jax.Array:
    """Normalizes each example's direction `[n, ...]` to unit norm; zeros stay zeros."""
    flat = direction.reshape(direction.shape[0], -1)
    largest = jnp.abs(flat).max(1, keepdims=True)
    flat = flat / jnp.where(largest > 0, largest, 1.0)  # Squares may overflow or underflow.
    length = jnp.sqrt(jnp.square(flat).sum(1, keepdims=True))
    return (flat / jnp.where(length > 0, length, 1.0)).reshape(direction.shape)
