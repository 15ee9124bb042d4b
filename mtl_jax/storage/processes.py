"""The processes of a launch: all train together, the first one writes and decides."""

import functools
import pickle
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from orbax.checkpoint import multihost

T = TypeVar("T")

WAIT_SECONDS = 7 * 24 * 3600  # For another process; one that dies is noticed by itself.


def is_first() -> bool:
    """Whether this process is the first one, which writes files and prints."""
    return jax.process_index() == 0


def wait_for_all() -> None:
    """Waits until all processes are here.

    The first collective of Gloo fails if a process comes 30 s late, so this is called where one may
    have more to do than others.
    """
    everyone = set(range(jax.process_count()))
    multihost.sync_global_processes("mtl_jax", timeout=WAIT_SECONDS, processes=everyone)


def on_first(function: Callable[[], T]) -> T:
    """Calls a function in the first process only, once all are here; it must not call this one.

    Returns:
      Its result, in all processes; it must be picklable.

    Raises:
      Exception: what the function raises, in all processes.
    """
    if jax.process_count() == 1:
        return function()
    wait_for_all()
    result, error = exchange(outcome_of(function) if is_first() else None)[0]
    if error is not None:
        raise error
    return result


def in_all(function: Callable[[], T]) -> T:
    """Calls a function, which must not wait for other processes, in all processes.

    Raises:
      Exception: what it raises in the first process in which it fails, in all processes.
    """
    if jax.process_count() == 1:
        return function()
    result, error = outcome_of(function)
    failed = [other for other in exchange(error) if other is not None]
    if failed:
        raise error or failed[0]
    return result


def outcome_of(function: Callable[[], T]) -> tuple[Any, Exception | None]:
    """The result of a function, or its error, or the error's text if it cannot be pickled."""
    try:
        return function(), None
    except Exception as error:  # noqa: BLE001, it is raised by the caller.
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # noqa: BLE001, whatever its class does.
            return None, RuntimeError(f"{type(error).__name__}: {error}")
        return None, error


def exchange(value: Any) -> list[Any]:
    """The values of all processes, once all are here."""
    wait_for_all()
    own = np.frombuffer(pickle.dumps(value), np.uint8)
    sizes = multihost_utils.process_allgather(np.array(len(own))).tolist()
    padded = np.zeros(max(sizes), np.uint8)
    padded[: len(own)] = own
    every = multihost_utils.process_allgather(padded)
    return [
        pickle.loads(content[:size].tobytes()) for content, size in zip(every, sizes, strict=True)
    ]


def is_same(function: Callable[[], Any]) -> bool:
    """Whether a function gives the same in all processes, by its repr; one does not call it."""
    return jax.process_count() == 1 or len(set(exchange(repr(function())))) == 1


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
        found = replicate(mesh)([leaves[place] for place in split])
        for place, leaf in zip(split, found, strict=True):
            leaves[place] = leaf
    return jax.device_get(treedef.unflatten(leaves))


@functools.cache
def replicate(mesh: Mesh) -> Callable[[list[jax.Array]], list[jax.Array]]:
    """The jitted function that gives every device of a mesh all of some arrays."""
    return jax.jit(lambda arrays: arrays, out_shardings=NamedSharding(mesh, PartitionSpec()))


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
