"""Input validation shared by the losses of this package."""

import jax
import jax.numpy as jnp


def require_features(
    name: str, source: jax.Array, target: jax.Array, min_examples: int = 1
) -> None:
    """Requires batches `[B, D]` and `[U, D]` of floats, with at least `min_examples` each."""
    require_floats(name, source, target)
    shapes = f"not source {source.shape} and target {target.shape}"
    if source.ndim != 2 or target.ndim != 2 or source.shape[1] != target.shape[1]:
        raise ValueError(f"{name} needs source [B, D] and target [U, D], {shapes}")
    if min(len(source), len(target)) < min_examples:
        raise ValueError(f"{name} needs at least {min_examples} examples of each domain, {shapes}")


def require_same_shape(name: str, first: jax.Array, second: jax.Array) -> None:
    """Requires two float arrays of the same shape."""
    require_floats(name, first, second)
    if first.shape != second.shape:
        raise ValueError(
            f"{name} needs two arrays of one shape, not {first.shape} and {second.shape}"
        )


def require_logits(name: str, logits: jax.Array, ndim: int | None = None) -> None:
    """Requires floats `[..., C]` with at least two classes, or `[N, C]` if `ndim` is 2."""
    require_floats(name, logits)
    if logits.ndim == 0 or logits.shape[-1] < 2 or ndim not in (None, logits.ndim):
        shape = "[..., C]" if ndim is None else "[N, C]"
        raise ValueError(f"{name} needs logits {shape} with C of at least 2, not {logits.shape}")
    if logits.size == 0:
        raise ValueError(f"{name} needs at least one example, not logits {logits.shape}")


def require_floats(name: str, *arrays: jax.Array) -> None:
    """Requires float arrays."""
    for array in arrays:
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise ValueError(f"{name} needs floats, not {array.dtype}")
