"""Which trunks read tokens, and whether the data has such ones."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mtl_jax.checks import BadInput
from mtl_jax.identity import source_text
from mtl_jax.protocols import ReadsTokens
from mtl_jax.run import Run


def readers_of(part: Any) -> Iterator[ReadsTokens]:
    """The trunks that read tokens in a trunk, and in what it is laid around or made of."""
    if isinstance(part, ReadsTokens):
        yield part
    elif isinstance(part, tuple):
        for each in part:
            yield from readers_of(each)
    elif dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            if field.name != "parent":
                yield from readers_of(getattr(part, field.name, None))


def check_kind(run: Run, dtype: np.dtype) -> None:
    """Requires whole numbers for a trunk that reads tokens, and for no other of this package."""
    reads, own = list(readers_of(run.trunk)), type(run.trunk).__module__.startswith("mtl_jax.")
    tokens = np.issubdtype(dtype, np.integer)
    if reads and not tokens:
        rule = "reads tokens, which are whole numbers"
    elif tokens and own and not reads:
        rule = "reads numbers, which are floats, or images, which may be uint8 too"
    else:
        return
    raise BadInput(
        f"run {run.name!r}: trunk {source_text(run.trunk)} {rule}; the data has inputs of {dtype}"
    )


def check_tokens(run: Run, parts: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]) -> None:
    """Requires tokens of the vocabulary in all parts of the data, each by stream.

    Raises:
      BadInput: naming the part and the token.
    """
    least = min((reader.vocabulary for reader in readers_of(run.trunk)), default=None)
    for part, streams in parts.items() if least is not None else ():
        for arrays in streams.values():
            if not np.issubdtype(arrays["image"].dtype, np.integer):
                continue
            low, high = (int(end(arrays["image"], initial=0)) for end in (np.min, np.max))
            if low < 0 or high >= least:
                raise BadInput(
                    f"run {run.name!r}: the trunk has a vocabulary of {least}, so tokens must lie "
                    f"in 0..{least - 1}, but the {part} data has token {low if low < 0 else high}"
                )
