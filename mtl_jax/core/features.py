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
