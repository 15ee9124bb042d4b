"""Tensors of a file against the variables of a trunk: every one fits, or none is taken."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from mtl_jax.core.validation import BadInput, few
from mtl_jax.nets.pretrained.name_map import Line, Names, Shapes, Tensors


class Found(NamedTuple):
    """Tensors under our paths, and what stood against that."""

    tensors: dict[str, np.ndarray]
    origin: dict[str, str]  # the name in the file of each
    extra: list[str]  # those that no line knows
    twice: list[str]  # those whose path another one has
    misshapen: dict[str, str]  # by path, those whose axes cannot be changed


def matched(
    tensors: Tensors,
    names: Names,
    wanted: Shapes,
    features: int,
    *,
    outputs: int | None = None,
    cast: bool = False,
) -> dict[str, np.ndarray]:
    """Brings tensors under the paths and into the shapes of a trunk's variables.

    Args:
      tensors: by their names in the file.
      names: how they are named.
      wanted: shapes of the trunk's variables by path.
      features: D, what a classifier in the file must read.
      outputs: how many it must have; None is any number.
      cast: whether floats of another precision become float32.

    Returns:
      Arrays of float32 by path: all that is wanted, and the classifier if there is one.

    Raises:
      BadInput: a single one for all that is missing, extra, misshapen, of another type or
        precision, or not finite.
    """
    found = translated(tensors, names.table)
    wanted = {**wanted, **head_shapes(found.tensors, features, outputs)}
    if names.fit is not None:
        found = found._replace(tensors=names.fit(dict(found.tensors), wanted))
    faults = {**of_names(found, wanted), **of_values(found, cast)}
    if any(faults.values()):
        rule = f"must hold each tensor of the trunk once, by the names of {names.name}"
        raise BadInput(f"{rule}; {summary(faults)}")
    return {path: as_float32(array) for path, array in found.tensors.items()}


def summary(faults: Mapping[str, list[str]]) -> str:
    """The first faults of each kind and how many more: as many as make a short line."""
    for most in (8, 5, 3, 2, 1):
        said = "; ".join(f"{kind}: {few(rows, most)}" for kind, rows in faults.items() if rows)
        if len(said) <= 300:
            break
    return said


def translated(tensors: Tensors, table: Iterable[Line]) -> Found:
    """Puts each tensor where the first line that knows its name says."""
    found = Found({}, {}, [], [], {})
    for name, array in tensors.items():
        hits = ((line, re.fullmatch(line.pattern, name)) for line in table)
        line, hit = next((pair for pair in hits if pair[1]), (None, None))
        if line is None:
            found.extra.append(f"{name} {list(array.shape)}")
        elif line.path is not None:
            place(found, name, array, line, hit.expand(line.path))
    return found


def place(found: Found, name: str, array: np.ndarray, line: Line, path: str) -> None:
    """Adds a tensor, or the several that it is here, to those found."""
    try:
        changed = line.change(array)
    except ValueError:
        found.misshapen[path] = f"{name} {list(array.shape)}, which cannot be {path}"
        return
    parts = changed if isinstance(changed, Mapping) else {"": changed}
    for end, part in parts.items():
        full = f"{path}/{end}" if end else path
        if full in found.tensors:
            found.twice.append(f"{name} and {found.origin[full]} for {full}")
        found.tensors[full], found.origin[full] = part, name


def head_shapes(ours: Tensors, features: int, outputs: int | None) -> dict[str, tuple[int, ...]]:
    """Shapes of the classifier, if the file has one; of as many outputs as it has by None."""
    shapes = [array.shape for path, array in ours.items() if path.startswith("head/")]
    if not shapes:
        return {}
    last = shapes[0][-1:] if outputs is None else (outputs,)
    return {"head/kernel": (features, *last), "head/bias": last}


def of_names(found: Found, wanted: Shapes) -> dict[str, list[str]]:
    """What is amiss with the names and shapes, of both sides."""
    ours = found.tensors
    broken = tuple(f"{path}/" for path in found.misshapen)
    lacking = [p for p in wanted if p not in ours and not f"{p}/".startswith(broken)]
    surplus = [path for path in ours if path not in wanted]
    unfit = [path for path in ours if path in wanted and ours[path].shape != tuple(wanted[path])]
    return {
        "missing": [f"{path} {list(wanted[path])}" for path in lacking],
        "extra": found.extra
        + [f"{told(found, path)} {list(ours[path].shape)}" for path in surplus],
        "misshapen": [
            *found.misshapen.values(),
            *(f"{told(found, p)} {list(ours[p].shape)}, here {list(wanted[p])}" for p in unfit),
        ],
        "twice": found.twice,
    }


def of_values(found: Found, cast: bool) -> dict[str, list[str]]:
    """What is amiss with the numbers themselves."""
    real = {path: array for path, array in found.tensors.items() if is_float(array)}
    return {
        "not floats": [
            f"{told(found, path)} {array.dtype}"
            for path, array in found.tensors.items()
            if path not in real
        ],
        "of another precision than float32 (cast=True rounds them)": [
            f"{told(found, path)} {array.dtype}"
            for path, array in real.items()
            if array.dtype != np.float32 and not cast
        ],
        "not finite": [
            told(found, path)
            for path, array in real.items()
            if not np.isfinite(as_float32(array)).all()
        ],
    }


def told(found: Found, path: str) -> str:
    """A tensor by its name in the file, as far as it is known, and by ours."""
    return f"{found.origin[path]} ({path})" if path in found.origin else path


def is_float(array: np.ndarray) -> bool:
    """Whether an array holds real floating-point numbers, JAX's bfloat16 too."""
    return jnp.issubdtype(array.dtype, np.floating)


def as_float32(array: np.ndarray) -> np.ndarray:
    """A copy in float32, in the order of its axes; what is too large becomes infinite."""
    with np.errstate(over="ignore"):
        return np.array(array, np.float32, order="C")
