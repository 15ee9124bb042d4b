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

from mtl_jax.core.validation import BadInput

FeatureType = Literal["vector", "sequence", "map", "pyramid", "tokens"]

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
