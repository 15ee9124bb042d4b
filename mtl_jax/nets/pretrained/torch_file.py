"""Files of PyTorch as nested tensors, without running any code that they may hold."""

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
    """A tensor that is no array of numbers: quantised, sparse, or of a type NumPy has not."""

    kind: str


def read_torch(file: pathlib.Path) -> dict[str, Any]:
    """The entries of a PyTorch file, of nested ones with slashes between.

    Beside tensors it may hold what ordinary checkpoints do: settings of argparse, numbers and
    arrays of NumPy, paths.

    Raises:
      BadInput: without PyTorch, or for another pickled object or anything but entries by name.
    """
    try:
        import torch
    except ImportError:
        rule = "need PyTorch: pip install mtl_jax[pretrained]"
        raise BadInput(f"weights {str(file)!r} {rule}") from None
    try:
        # Of sparse tensors and old files PyTorch warns, which are refused or as good as others.
        with torch.serialization.safe_globals(harmless()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(file, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(told(str(error))) from error
    if not isinstance(found, Mapping):
        raise TypeError(f"holds a {type(found).__name__}, not tensors by name")
    return {name: array_of(value, torch) for name, value in flat(found)}


def harmless() -> list:
    """Classes of ordinary checkpoints that run nothing, by the names that are written."""
    scalar = np.float64(0.0).__reduce__()[0]
    rebuild = np.zeros(0).__reduce__()[0]
    types_of_numbers = {type(np.dtype(code)) for code in "?bBhHiIlLqQefdFDSUO"}
    return [
        argparse.Namespace,
        types.SimpleNamespace,
        # PyTorch fills plain dicts only.
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
    """An empty dict in the place of one with a default."""
    return {}


def told(text: str) -> str:
    """What keeps a pickle from being read, in a few words; PyTorch says how to run its code."""
    hit = re.search(r"GLOBAL ([\w.]+)", text)
    if hit:
        return f"it holds a {hit[1]}; save the tensors alone: torch.save(net.state_dict(), path)"
    return text.split("WeightsUnpickler error:")[-1].split("Check the documentation")[0]


def array_of(value: Any, torch: Any) -> Any:
    """A tensor as an array; what is none as it was."""
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


def flat(tree: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, by names with slashes."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}/")
        else:
            yield f"{before}{name}", value
