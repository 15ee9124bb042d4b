"""Reading of tensor files, either completely or not at all."""

import collections
import hashlib
import os
import pathlib
import pickle
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from mtl_jax.core.validation import BadInput, did_you_mean, few
from mtl_jax.nets.pretrained.run_checkpoint import read_run
from mtl_jax.nets.pretrained.shards import INDEX, find_weights, read_shards, require_complete
from mtl_jax.nets.pretrained.torch_file import Unreadable, read_torch

# Errors that the libraries raise for truncated files, or files whose format differs from the name.
READ_ERRORS = (OSError, EOFError, RuntimeError, ValueError, TypeError, KeyError, AttributeError)
READ_ERRORS += (pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, MemoryError)
# Values in a checkpoint, in addition to tensors, that cannot be weights.
METADATA = (type(None), bool, int, float, str, bytes, np.generic)


def read_tensors(
    path: str, part: str | None = None, sha256: str | None = None
) -> dict[str, np.ndarray]:
    """Reads all tensors of a file, without running any code that it may contain.

    Args:
      path: a file that ends in `.safetensors`, in `.npz` (only arrays, as for Google's ViT), or in
        `.pth`, `.pt`, `.bin`, `.ckpt` or `.pth.tar` (PyTorch weights, which require PyTorch to be
        installed); the index of several such files, `.index.json`; a folder with one of these, such
        as an exported model; or the folder of one of our runs. `~` is the home folder.
      part: the entry that contains the tensors, if a file has several, such as `model` or
        `state_dict`; for names with slashes, the prefix; for a run, the index of the seed, from 0,
        which is the default.
      sha256: hash of the file, which is compared before it is opened; None skips the check.

    Returns:
      The tensors by their names in the file; bfloat16 is that of JAX. Other numbers, strings and
      None are omitted.

    Raises:
      BadInput: for a path that does not exist or is another kind of folder, another ending or hash,
        a file that is damaged, one part of several, or contains pickled objects or anything but
        tensors, or a missing part; the message reports what was found.

    Example:
      >>> import tempfile
      >>> import numpy as np
      >>> from mtl_jax.nets.pretrained import read_tensors
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     np.savez(f"{folder}/weights.npz", kernel=np.ones((4, 3)))
      ...     read_tensors(f"{folder}/weights.npz")["kernel"].shape
      (4, 3)
    """
    file = pathlib.Path(os.path.expanduser(path))
    if path and file.is_dir() and sha256 is None:
        if (file / "checkpoints").is_dir():
            return read_run(file, part or "0")
        file = find_weights(file, tuple(READERS))
    if file.is_dir():
        raise BadInput(f"weights {path!r} must be a file, not a folder")
    sharded = file.name.endswith(INDEX)
    reader = None if sharded else reader_of(file)
    if not file.is_file():
        raise BadInput(f"weights {path!r} must be a file, there is none")
    if sha256 is not None:
        if sharded:
            raise BadInput(f"weights {path!r} are several files, and sha256= is of one")
        require_hash(str(file), sha256)
    require_complete(file)
    content = read_shards(file, read_file) if sharded else read_file(file)
    return select_part(content, str(file), part, nested=reader is read_torch)


def reader_of(file: pathlib.Path) -> Callable[[pathlib.Path], dict[str, Any]]:
    """The function that reads a file, by the ending of its name.

    Raises:
      BadInput: for another ending.
    """
    for end, reader in READERS.items():
        if file.name.lower().endswith(end):
            return reader
    rule = f"must end in {', '.join(READERS)}"
    raise BadInput(f"weights {str(file)!r} {rule}, not {file.suffix!r}")


def read_file(file: pathlib.Path) -> dict[str, Any]:
    """The content of one file.

    Raises:
      BadInput: for a file that is truncated, or whose content does not match its name.
    """
    reader = reader_of(file)
    rule = f"must be a whole {file.suffix} file of tensors, without pickled objects"
    mistake = other_format(file)
    if mistake is not None:
        raise BadInput(f"weights {str(file)!r} {rule} ({mistake})")
    try:
        return reader(file)
    except BadInput:
        raise
    except (*READ_ERRORS, *safetensors_errors()) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise BadInput(f"weights {str(file)!r} {rule} ({reason})") from error


def other_format(file: pathlib.Path) -> str | None:
    """A description of files that are commonly mistaken for weights; None for all others."""
    with open(file, "rb") as content:
        head = content.read(200)
    start = head.lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer: run git lfs pull"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page: download the file itself"
    safetensors = head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 30
    if safetensors and not file.name.lower().endswith(".safetensors"):
        return "it holds safetensors: let its name end in .safetensors"
    return None


def select_part(
    content: Mapping[str, Any], path: str, part: str | None, nested: bool
) -> dict[str, np.ndarray]:
    """The tensors of a part of a file's content; if `nested`, of a named part.

    Raises:
      BadInput: if there is no such part, or if it is empty or contains anything else.
    """
    parts = sorted({name.split("/")[0] for name in content if "/" in name})
    if part is not None:
        content = {
            n.removeprefix(f"{part}/"): v for n, v in content.items() if n.startswith(f"{part}/")
        }
        if not content:
            raise BadInput(
                f"weights {path!r} must have the part {part!r} ({did_you_mean(part, parts)})"
            )
    elif nested and parts:
        raise BadInput(f"weights {path!r} have parts; part= must name one: {candidates(content)}")
    tensors = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
    rest = {n: v for n, v in content.items() if n not in tensors}
    others = [n for n, v in rest.items() if "/" in n or not isinstance(v, METADATA)]
    if others or not tensors:
        described = few([f"{name} ({kind_of(rest[name])})" for name in others or rest])
        fault = f"not {described}" if described else "it is empty"
        raise BadInput(f"weights {path!r} must hold tensors alone, of numbers; {fault}")
    return tensors


def candidates(content: Mapping[str, Any]) -> str:
    """The entries of nested ones that directly contain tensors, the largest first."""
    count = collections.Counter(
        name.rpartition("/")[0]
        for name, value in content.items()
        if "/" in name and isinstance(value, np.ndarray | Unreadable)
    )
    if not count:
        return "none has tensors"
    return few([f"{part!r} (tensors: {n})" for part, n in count.most_common()], 4)


def kind_of(value: Any) -> str:
    """The type of a value, in a word."""
    return value.kind if isinstance(value, Unreadable) else type(value).__name__


def safetensors_errors() -> tuple[type[Exception], ...]:
    """The error for damaged safetensors; empty if the package is missing."""
    try:
        from safetensors import SafetensorError
    except ImportError:
        return ()
    return (SafetensorError,)


def read_safetensors(file: pathlib.Path) -> dict[str, Any]:
    """The tensors of a safetensors file, except those of dtypes unknown to NumPy and JAX."""
    try:
        from safetensors import safe_open
    except ImportError:
        raise BadInput(f"weights {str(file)!r} need safetensors: pip install safetensors") from None
    with safe_open(file, "numpy") as content:
        kinds = {name: content.get_slice(name).get_dtype() for name in content.keys()}  # noqa: SIM118
        return {
            name: content.get_tensor(name) if kind in READABLE else Unreadable(kind)
            for name, kind in kinds.items()
        }


READABLE = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"}
READABLE |= {"F16", "BF16", "F32", "F64", "C64"}


def read_npz(file: pathlib.Path) -> dict[str, Any]:
    """The arrays of an npz file; pickled ones are not allowed."""
    # Given a path, numpy leaves a damaged file open.
    with open(file, "rb") as content, np.load(content, allow_pickle=False) as arrays:
        return {name: view_bfloat16(arrays[name]) for name in arrays.files}


def view_bfloat16(array: Any) -> Any:
    """An array viewed as bfloat16, which numpy does not know and saves as two bytes."""
    if isinstance(array, np.ndarray) and array.dtype == np.dtype("V2"):
        return array.view(jnp.bfloat16)
    return array


READERS: dict[str, Callable[[pathlib.Path], dict[str, Any]]] = {
    ".safetensors": read_safetensors,
    ".npz": read_npz,
    ".pth": read_torch,
    ".pt": read_torch,
    ".bin": read_torch,
    ".ckpt": read_torch,
    ".pth.tar": read_torch,
    ".pt.tar": read_torch,
}


def require_hash(path: str, expected: str) -> None:
    """Requires a file to have the given SHA-256.

    Raises:
      BadInput: for another hash, with the hash of the file.
    """
    with open(path, "rb") as content:
        actual = hashlib.file_digest(content, "sha256").hexdigest()
    if actual != expected:
        raise BadInput(f"weights {path!r} must have the SHA-256 {expected}, not {actual}")
