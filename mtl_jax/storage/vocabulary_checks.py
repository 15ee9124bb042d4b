"""Checks that token inputs are within the vocabulary of the trunk."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.protocols import InsertsTokens, ReadsTokens
from mtl_jax.core.rows import Rows
from mtl_jax.core.validation import BadInput, require


def parts_like(part: Any, kind: type) -> Iterator[Any]:
    """Yields the parts of a setting that satisfy a protocol: the setting itself or nested ones."""
    if isinstance(part, kind):
        yield part
    elif isinstance(part, tuple):
        for member in part:
            yield from parts_like(member, kind)
    elif dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            if field.name != "parent":
                yield from parts_like(getattr(part, field.name, None), kind)


def check_kind(run: Run, dtype: np.dtype) -> None:
    """Requires integer inputs iff the trunk reads tokens; custom trunks may read integers too."""
    reads_tokens = any(parts_like(run.trunk, ReadsTokens))
    built_in = type(run.trunk).__module__.startswith("mtl_jax.")
    tokens = np.issubdtype(dtype, np.integer)
    if reads_tokens and not tokens:
        rule = "reads tokens, which are integers"
    elif tokens and built_in and not reads_tokens:
        rule = "reads numbers, which are floats, or images, which may be uint8 too"
    else:
        return
    raise BadInput(
        f"run {run.name!r}: trunk {to_source(run.trunk)} {rule}; the data has inputs of {dtype}"
    )


def check_tokens(run: Run, splits: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]) -> None:
    """Requires the tokens in all splits of the data, each by stream, to be in the vocabulary.

    Raises:
      BadInput: naming the split (or augmentation policy) and the token.
    """
    readers = parts_like(run.trunk, ReadsTokens)
    vocabulary = min((reader.vocabulary for reader in readers), default=None)
    if vocabulary is None:
        return
    for split, streams in splits.items():
        for arrays in streams.values():
            for tokens in jax.tree.leaves(arrays["inputs"]):
                if np.issubdtype(tokens.dtype, np.integer) and len(tokens):
                    require_in_memory(run, tokens)
                    source = f"the {split} data has"
                    require_tokens(run, vocabulary, source, int(tokens.min()), int(tokens.max()))
    for field, setting in run.augmentation.policies.items():
        for policy in parts_like(setting, InsertsTokens):
            ids = policy.token_ids or (0,)
            source = f"{type(policy).__name__} of augmentation.{field} inserts"
            require_tokens(run, vocabulary, source, min(ids), max(ids))


def require_in_memory(run: Run, tokens: np.ndarray | Rows) -> None:
    """Requires tokens in memory: on disk they could not be checked before training."""
    rule = "must be 'device' or 'host' for tokens"
    in_memory = not isinstance(tokens, Rows)
    require(in_memory, f"run {run.name!r}: Execution", "data_location", rule, "disk")


def require_tokens(run: Run, vocabulary: int, source: str, low: int, high: int) -> None:
    """Requires the smallest and the largest token to be in the vocabulary of a run's trunk."""
    if low < 0 or high >= vocabulary:
        raise BadInput(
            f"run {run.name!r}: the trunk has a vocabulary of {vocabulary}, so tokens must lie "
            f"in 0..{vocabulary - 1}, but {source} token {low if low < 0 else high}"
        )
