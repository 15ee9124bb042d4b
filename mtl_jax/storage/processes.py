"""The processes of a launch: all train together, the first one writes and decides."""

import hashlib
import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import NamedSharding, PartitionSpec
from orbax.checkpoint import multihost

T = TypeVar("T")

WAIT_SECONDS = 7 * 24 * 3600  # For another process; one that dies is noticed by itself.


def is_first() -> bool:
    """Whether this process is the first one, which writes files and prints."""
    return jax.process_index() == 0


def wait_for_all() -> None:
    """Waits until all processes are here.

    Collectives of the CPU and NCCL fail if a process comes some 30 s late, so this is called where
    one may have more to do than others.
    """
    everyone = set(range(jax.process_count()))
    multihost.sync_global_processes("mtl_jax", timeout=WAIT_SECONDS, processes=everyone)


def on_first(function: Callable[[], T]) -> T:
    """Calls a function in the first process only; it must not call this one.

    Returns:
      Its result, in all processes; it must be picklable.

    Raises:
      Exception: what the function raises, in all processes.
    """
    if jax.process_count() == 1:
        return function()
    outcome: tuple[Any, BaseException | None] = (None, None)
    if is_first():
        try:
            outcome = function(), None
        except Exception as error:  # noqa: BLE001, it is raised below.
            outcome = None, picklable(error)
    wait_for_all()
    result, error = broadcast(outcome)
    if error is not None:
        raise error
    return result


def picklable(error: Exception) -> Exception:
    """The error, or its text if it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001, whatever its class does.
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def broadcast(value: Any) -> Any:
    """The value of the first process, in all processes."""
    content = np.frombuffer(pickle.dumps(value), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.array(len(content))))
    own = content if is_first() else np.zeros(size, np.uint8)
    received = multihost_utils.broadcast_one_to_all(own)
    return value if is_first() else pickle.loads(np.asarray(received).tobytes())


def is_same(value: Any) -> bool:
    """Whether all processes have the same value, by its repr."""
    if jax.process_count() == 1:
        return True
    own = np.frombuffer(hashlib.sha256(repr(value).encode()).digest(), np.uint8)
    wait_for_all()
    return bool((multihost_utils.process_allgather(own) == own).all())


def largest(number: int) -> int:
    """The largest of the numbers of all processes."""
    if jax.process_count() == 1:
        return number
    return int(np.max(multihost_utils.process_allgather(np.array(number))))


def fetch(tree: Any) -> Any:
    """Copies of a tree's arrays on the host, those whose shards several processes have too.

    All processes must call it alike.
    """
    leaves, treedef = jax.tree.flatten(tree)
    split = [place for place, leaf in enumerate(leaves) if is_split(leaf)]
    if split:
        mesh = leaves[split[0]].sharding.mesh
        whole = NamedSharding(mesh, PartitionSpec())
        found = jax.jit(lambda arrays: arrays, out_shardings=whole)([leaves[p] for p in split])
        for place, leaf in zip(split, found, strict=True):
            leaves[place] = leaf
    return jax.device_get(treedef.unflatten(leaves))


def is_split(leaf: Any) -> bool:
    """Whether no process has all of an array."""
    return isinstance(leaf, jax.Array) and not (
        leaf.is_fully_addressable or leaf.is_fully_replicated
    )


def own_part(index: np.ndarray) -> np.ndarray:
    """The part of some indices that this process reads."""
    return np.array_split(index, jax.process_count())[jax.process_index()]


def join_parts(part: np.ndarray, count: int) -> np.ndarray:
    """All `[count, ...]` of which each process has read `own_part`."""
    if jax.process_count() == 1:
        return part
    parts = np.array_split(np.arange(count), jax.process_count())
    padded = np.zeros((len(parts[0]), *part.shape[1:]), part.dtype)
    padded[: len(part)] = part
    every = multihost_utils.process_allgather(padded)
    return np.concatenate([own[: len(p)] for own, p in zip(every, parts, strict=True)])
