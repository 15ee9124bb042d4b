"""PyTorch files as nested tensors, without running any code that they may contain."""

import argparse
import pathlib
import pickle
import re
import types
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from mtl_jax.core.validation import BadInput


class Unreadable(NamedTuple):
    """A tensor that cannot be an array: quantised, sparse, or of a dtype unknown to NumPy."""

    kind: str


def read_torch(file: pathlib.Path) -> dict[str, Any]:
    """The entries of a PyTorch file, with nested names joined by slashes.

    In addition to tensors it may contain the usual content of checkpoints: argparse settings,
    NumPy numbers and arrays, paths.

    Raises:
      BadInput: without PyTorch, or for another pickled object or anything but named entries.
    """
    try:
        import torch  # ty: ignore[import-not-found]  # An optional package.
    except ImportError:
        rule = "need PyTorch: pip install mtl_jax[pretrained]"
        raise BadInput(f"weights {str(file)!r} {rule}") from None
    try:
        # PyTorch warns about sparse tensors, which are refused, and old files, which are fine.
        with torch.serialization.safe_globals(safe_types()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(file, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(describe_error(str(error))) from error
    if not isinstance(content, Mapping):
        raise TypeError(f"holds a {type(content).__name__}, not tensors by name")
    return {name: to_array(value, torch) for name, value in flatten(content)}


def safe_types() -> list:
    """Classes in usual checkpoints that run no code, with the names in the pickle."""
    scalar = np.float64(0.0).__reduce__()[0]
    rebuild = np.zeros(0).__reduce__()[0]
    types_of_numbers = {type(np.dtype(code)) for code in "?bBhHiIlLqQefdFDSUO"}
    return [
        argparse.Namespace,
        types.SimpleNamespace,
        # PyTorch only fills plain dicts.
        (plain_dict, "collections.defaultdict"),
        *(bool, int, float, str, tuple, list, set, dict),
        (pathlib.PurePosixPath, "pathlib.PosixPath"),
        (pathlib.PureWindowsPath, "pathlib.WindowsPath"),
        pathlib.PurePosixPath,
        np.ndarray,
        np.dtype,
        *types_of_numbers,
        *((scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
        *((rebuild, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    ]


def plain_dict(factory: Any = None) -> dict:
    """An empty dict instead of a defaultdict."""
    return {}


def describe_error(text: str) -> str:
    """A short reason why a pickle is refused; PyTorch's message explains how to run its code."""
    match = re.search(r"GLOBAL ([\w.]+)", text)
    if match:
        return f"it holds a {match[1]}; save the tensors alone: torch.save(net.state_dict(), path)"
    return text.split("WeightsUnpickler error:")[-1].split("Check the documentation")[0]


def to_array(value: Any, torch: Any) -> Any:
    """A tensor as an array; other values unchanged."""
    if not isinstance(value, torch.Tensor):
        return value
    try:
        value = value.detach().resolve_conj().resolve_neg().contiguous()
        if value.dtype == torch.bfloat16:
            return value.view(torch.int16).numpy().view(jnp.bfloat16)
        return value.numpy()
    except (TypeError, RuntimeError, NotImplementedError):
        kinds = [str(value.dtype).removeprefix("torch.")]
        kinds += ["sparse"] * (value.layout != torch.strided) + ["meta"] * value.is_meta
        return Unreadable(" ".join(kinds))


def flatten(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, with names joined by slashes."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
