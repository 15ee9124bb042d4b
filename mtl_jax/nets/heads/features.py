"""What heads ask of the features that they read."""

from typing import Any

from mtl_jax.core.features import feature_type
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
