"""Features that a trunk gives to heads.

type        value
vector      array `[N, D]`
sequence    array `[N, T, D]`
map         array `[N, H, W, D]`
pyramid     `Pyramid`
tokens      `Tokens`
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import BadInput

FeatureType = Literal["vector", "sequence", "map", "pyramid", "tokens"]

Shape = tuple[int, ...]

BY_AXES: dict[int, FeatureType] = {2: "vector", 3: "sequence", 4: "map"}


class Pyramid(NamedTuple):
    """Maps of several strides, the finest first."""

    maps: tuple[jax.Array, ...]  # [N, H / s, W / s, D_s]


class Tokens(NamedTuple):
    """Features of every token, and a summary of the sequence or image."""

    summary: jax.Array  # [N, D], the vector that linear heads read.
    tokens: jax.Array  # [N, T, D]
    mask: jax.Array  # [N, T], 1.0 for tokens of the input and 0.0 for padding.


def feature_type(features: Any) -> FeatureType | None:
    """The type of features, or None for another tree, which only a user's own head reads."""
    if isinstance(features, Pyramid):
        return "pyramid"
    if isinstance(features, Tokens):
        return "tokens"
    is_array = isinstance(features, jax.Array | jax.ShapeDtypeStruct)
    return BY_AXES.get(features.ndim) if is_array else None


def as_vector(features: Any) -> jax.Array:
    """The vectors `[N, D]` that linear heads and methods read from features of any type.

    A map or a sequence is averaged over its positions, tokens give their summary, and a pyramid
    gives the average of its coarsest map.

    Raises:
      BadInput: for another tree.
    """
    if isinstance(features, Tokens):
        return features.summary
    if isinstance(features, Pyramid):
        return as_vector(features.maps[-1])
    if feature_type(features) is None:
        kind = type(features).__name__
        raise BadInput(f"a linear head reads a vector, map, sequence or tokens, not a {kind}")
    return features.mean(tuple(range(1, features.ndim - 1))) if features.ndim > 2 else features


def positions_of(outputs: Any) -> Shape:
    """Shape P of the positions of outputs `[N, *P, C]`; () without, and for other trees."""
    is_array = isinstance(outputs, jax.Array | jax.ShapeDtypeStruct)
    return tuple(outputs.shape[1:-1]) if is_array else ()


def features_at(features: Any, shape: Shape) -> jax.Array:
    """Features `[n, *P, D]` at positions, from a map, a sequence or tokens, or vectors `[n, D]`.

    A map of another size is resized, bilinear.
    """
    if isinstance(features, Pyramid) and shape:
        return features_at(features.maps[0], shape)
    if isinstance(features, Tokens) and shape:
        return features_at(features.tokens, shape)
    if not shape or feature_type(features) is None or features.ndim != 2 + len(shape):
        return as_vector(features)
    size = (features.shape[0], *shape, features.shape[-1])
    return features if features.shape == size else jax.image.resize(features, size, "bilinear")


def drop_channels(key: jax.Array, features: Any, rate: float) -> Any:
    """Features without a random share of the channels of each example.

    A channel is 0 with probability `rate`, at all positions, or is divided by `1 - rate`. Each
    array of a tree has its own channels; integers and the mask of tokens stay as they are.

    Reference: Tompson et al., Efficient Object Localization Using Convolutional Networks, CVPR
      2015 (https://arxiv.org/abs/1411.4280).
    """
    if isinstance(features, Tokens):
        summary, tokens = drop_channels(key, (features.summary, features.tokens), rate)
        return features._replace(summary=summary, tokens=tokens)

    def one(key: jax.Array, leaf: jax.Array) -> jax.Array:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        shape = (leaf.shape[0], *(1,) * (leaf.ndim - 2), leaf.shape[-1])
        kept = jax.random.bernoulli(key, 1.0 - rate, shape)
        return jnp.where(kept, leaf / (1.0 - rate), 0.0)

    leaves, treedef = jax.tree.flatten(features)
    return treedef.unflatten(map(one, jax.random.split(key, len(leaves)), leaves))
