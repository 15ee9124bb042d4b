"""What heads ask of the features that they read."""

from typing import Any

import jax

from mtl_jax.core.features import Pyramid, Tokens, feature_type
from mtl_jax.core.head import Head
from mtl_jax.core.validation import require


def require_features(head: Head, features: Any) -> None:
    """Requires features of a type that the head reads.

    Raises:
      BadInput: naming the head, what it reads and what it was given.
    """
    reads = head.reads
    if reads is None:
        return
    kind = feature_type(features)
    rule = f"must be of type {' or '.join(reads)} (nets.heads.{type(head).__name__} reads no other)"
    require(kind in reads, head, "features", rule, kind or type(features).__name__)


def vector_of(features: Any) -> jax.Array:
    """Features of any type as vectors `[N, D]`.

    A map's mean over its pixels, a sequence's over its positions, of a pyramid the mean of the
    coarsest map, and of tokens their summary.
    """
    if isinstance(features, Tokens):
        return features.summary
    x = features.maps[-1] if isinstance(features, Pyramid) else features
    return x.mean(tuple(range(1, x.ndim - 1))) if x.ndim > 2 else x
