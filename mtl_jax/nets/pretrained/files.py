"""Files of tensors, read whole or refused."""

import hashlib
import pathlib
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from mtl_jax.checks import BadInput, near
from mtl_jax.nets.pretrained.own_run import read_run

# What the libraries raise for files that are cut off, or not what their names say.
BROKEN = (OSError, EOFError, RuntimeError, ValueError, TypeError, KeyError)
BROKEN += (pickle.UnpicklingError, zipfile.BadZipFile, zlib.error)


def read(path: str, part: str | None = None, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Reads all tensors of a file, without running any code that it may hold.

    Args:
      path: of a file that ends in `.safetensors`, in `.npz` (arrays alone, as Google's ViT have
        it), or in `.pth` or `.pt` (weights of PyTorch, which must then be installed); or of the
        folder of an own run.
      part: the entry that holds the tensors, where a file has several, as `model` or
        `state_dict`; of names with slashes, what comes before; of a run, the number of the seed
        from 0, which None is.
      sha256: of the file, which is compared before it is opened; None does not look.

    Returns:
      The tensors by their names in the file; bfloat16 is that of JAX.

    Raises:
      BadInput: for a path that is none or another folder, another ending or hash, a file that is
        damaged or holds pickled objects or anything but tensors, or a missing part; with what was
        found.
    """
    file = pathlib.Path(path)
    reader = READERS.get(file.suffix)
    if (file / "checkpoints").is_dir() and sha256 is None:
        return read_run(file, part or "0")
    if file.is_dir():
        raise BadInput(f"weights {path!r} must be a file, not a folder")
    if reader is None:
        raise BadInput(f"weights {path!r} must end in {', '.join(READERS)}, not {file.suffix!r}")
    if not file.is_file():
        raise BadInput(f"weights {path!r} must be a file, there is none")
    if sha256 is not None:
        require_hash(path, sha256)
    try:
        found = reader(file)
    except BadInput:
        raise
    except (*BROKEN, *broken_safetensors()) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        rule = f"must be a whole {file.suffix} file of tensors, without pickled objects"
        raise BadInput(f"weights {path!r} {rule} ({reason})") from error
    return tensors_of(found, path, part, nested=reader is read_torch)


def tensors_of(
    found: Mapping[str, Any], path: str, part: str | None, nested: bool
) -> dict[str, np.ndarray]:
    """The tensors of a part of what a file holds; where it is `nested`, of one that is named.

    Raises:
      BadInput: if there is no such part, or if it holds anything else, or nothing.
    """
    parts = sorted({name.split("/")[0] for name in found if "/" in name})
    if part is not None:
        found = {
            n.removeprefix(f"{part}/"): v for n, v in found.items() if n.startswith(f"{part}/")
        }
        if not found:
            raise BadInput(f"weights {path!r} must have the part {part!r} ({near(part, parts)})")
    others = [
        f"{n} ({type(v).__name__})" for n, v in found.items() if not isinstance(v, np.ndarray)
    ]
    if others or not found or (nested and part is None and parts):
        rule = f"must hold tensors alone; part= names those wanted, of {parts}"
        raise BadInput(f"weights {path!r} {rule}, not {', '.join(others[:5]) or 'parts of them'}")
    return dict(found)


def broken_safetensors() -> tuple[type[Exception], ...]:
    """The error of damaged safetensors; none where the package is missing."""
    try:
        from safetensors import SafetensorError
    except ImportError:
        return ()
    return (SafetensorError,)


def read_safetensors(file: pathlib.Path) -> dict[str, Any]:
    """The tensors of a safetensors file."""
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise BadInput(f"weights {str(file)!r} need safetensors: pip install safetensors") from None
    return load_file(file)


def read_npz(file: pathlib.Path) -> dict[str, Any]:
    """The arrays of an npz file, none of them pickled."""
    # Given a path, numpy leaves a damaged file open.
    with open(file, "rb") as content, np.load(content, allow_pickle=False) as found:
        return {name: recovered(found[name]) for name in found.files}


def recovered(array: Any) -> Any:
    """An array whose bfloat16, which numpy does not know and saves as two bytes, is again one."""
    if isinstance(array, np.ndarray) and array.dtype == np.dtype("V2"):
        return array.view(jnp.bfloat16)
    return array


def read_torch(file: pathlib.Path) -> dict[str, Any]:
    """The entries of a PyTorch file, of nested ones with slashes between."""
    try:
        import torch
    except ImportError:
        rule = "need PyTorch: pip install mtl_jax[pretrained]"
        raise BadInput(f"weights {str(file)!r} {rule}") from None

    def plain(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        value = value.detach().contiguous()
        if value.dtype == torch.bfloat16:
            return value.view(torch.int16).numpy().view(jnp.bfloat16)
        return value.numpy()

    found = torch.load(file, weights_only=True, map_location="cpu")
    if not isinstance(found, Mapping):
        raise TypeError(f"holds a {type(found).__name__}, not tensors by name")
    return {name: plain(value) for name, value in flat(found)}


def flat(tree: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, by names with slashes."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}/")
        else:
            yield f"{before}{name}", value


READERS: dict[str, Callable[[pathlib.Path], dict[str, Any]]] = {
    ".safetensors": read_safetensors,
    ".npz": read_npz,
    ".pth": read_torch,
    ".pt": read_torch,
}


def require_hash(path: str, wanted: str) -> None:
    """Requires the SHA-256 of a file.

    Raises:
      BadInput: for another one, with the file's.
    """
    with open(path, "rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != wanted:
        raise BadInput(f"weights {path!r} must have the SHA-256 {wanted}, not {found}")
