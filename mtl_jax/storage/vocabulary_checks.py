"""Checks that token inputs are within the vocabulary of the trunk."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.protocols import BringsTokens, ReadsTokens
from mtl_jax.core.validation import BadInput


def parts_like(part: Any, kind: type) -> Iterator[Any]:
    """Yields the parts of a setting that satisfy a protocol: the setting itself or nested ones."""
    if isinstance(part, kind):
        yield part
    elif isinstance(part, tuple):
        for each in part:
            yield from parts_like(each, kind)
    elif dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            if field.name != "parent":
                yield from parts_like(getattr(part, field.name, None), kind)


def check_kind(run: Run, dtype: np.dtype) -> None:
    """Requires integer inputs iff the trunk reads tokens; custom trunks may read integers too."""
    reads, own = (
        any(parts_like(run.trunk, ReadsTokens)),
        type(run.trunk).__module__.startswith("mtl_jax."),
    )
    tokens = np.issubdtype(dtype, np.integer)
    if reads and not tokens:
        rule = "reads tokens, which are integers"
    elif tokens and own and not reads:
        rule = "reads numbers, which are floats, or images, which may be uint8 too"
    else:
        return
    raise BadInput(
        f"run {run.name!r}: trunk {to_source(run.trunk)} {rule}; the data has inputs of {dtype}"
    )


def check_tokens(run: Run, parts: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]) -> None:
    """Requires the tokens in all splits of the data, each by stream, to be in the vocabulary.

    Raises:
      BadInput: naming the split (or augmentation policy) and the token.
    """
    readers = parts_like(run.trunk, ReadsTokens)
    least = min((reader.vocabulary for reader in readers), default=None)
    if least is None:
        return
    for part, streams in parts.items():
        for arrays in streams.values():
            tokens = arrays["image"]
            if np.issubdtype(tokens.dtype, np.integer) and tokens.size:
                require_tokens(run, least, f"the {part} data has", tokens.min(), tokens.max())
    for field, own in run.augmentation.policies.items():
        for policy in parts_like(own, BringsTokens):
            brings = policy.brings or (0,)
            rule = f"{type(policy).__name__} of augmentation.{field} brings"
            require_tokens(run, least, rule, min(brings), max(brings))


def require_tokens(run: Run, least: int, rule: str, low: int, high: int) -> None:
    """Requires the smallest and the largest token to be in the vocabulary of a run's trunk."""
    if low < 0 or high >= least:
        raise BadInput(
            f"run {run.name!r}: the trunk has a vocabulary of {least}, so tokens must lie "
            f"in 0..{least - 1}, but {rule} token {low if low < 0 else high}"
        )
