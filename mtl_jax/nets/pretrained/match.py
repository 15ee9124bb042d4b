"""Matching of a file's tensors to the variables of a trunk, either all of them or none."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from mtl_jax.core.validation import BadInput, few
from mtl_jax.nets.pretrained.name_map import NameMap, NameRule, Shapes, Tensors


class MatchReport(NamedTuple):
    """Tensors under our paths, with mismatches."""

    tensors: dict[str, np.ndarray]
    origin: dict[str, str]  # The name in the file of each.
    unexpected: list[str]  # Names that no row matches.
    duplicates: list[str]  # Names whose path is already used.
    shape_mismatch: dict[str, str]  # By path, tensors whose axes cannot be converted.


def matched(
    tensors: Tensors,
    names: NameMap,
    wanted: Shapes,
    features: int,
    *,
    outputs: int | None = None,
    cast: bool = False,
) -> dict[str, np.ndarray]:
    """Converts tensors to the paths and shapes of a trunk's variables.

    Args:
      tensors: tensors by their names in the file.
      names: the naming of the tensors.
      wanted: shapes of the trunk's variables by path.
      features: D, the required number of inputs of a classifier in the file.
      outputs: its required number of outputs; None for any number.
      cast: whether floats of another precision are cast to float32.

    Returns:
      Arrays of float32 by path: all of `wanted`, and the classifier if there is one.

    Raises:
      BadInput: a single error for all tensors that are missing, unexpected, of the wrong shape,
        dtype or precision, or not finite.
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
    """The first mismatches of each kind and the number of the others, as one short line."""
    for most in (8, 5, 3, 2, 1):
        said = "; ".join(f"{kind}: {few(rows, most)}" for kind, rows in faults.items() if rows)
        if len(said) <= 300:
            break
    return said


def translated(tensors: Tensors, table: Iterable[NameRule]) -> MatchReport:
    """Maps each tensor to the path of the first row that matches its name."""
    found = MatchReport({}, {}, [], [], {})
    for name, array in tensors.items():
        hits = ((line, re.fullmatch(line.pattern, name)) for line in table)
        line, hit = next((pair for pair in hits if pair[1]), (None, None))
        if line is None:
            found.unexpected.append(f"{name} {list(array.shape)}")
        elif line.path is not None:
            place(found, name, array, line, hit.expand(line.path))
    return found


def place(found: MatchReport, name: str, array: np.ndarray, line: NameRule, path: str) -> None:
    """Adds a tensor, or the several that it is split into, to the report."""
    try:
        changed = line.change(array)
    except ValueError:
        found.shape_mismatch[path] = f"{name} {list(array.shape)}, which cannot be {path}"
        return
    parts = changed if isinstance(changed, Mapping) else {"": changed}
    for end, part in parts.items():
        full = f"{path}/{end}" if end else path
        if full in found.tensors:
            found.duplicates.append(f"{name} and {found.origin[full]} for {full}")
        found.tensors[full], found.origin[full] = part, name


def head_shapes(ours: Tensors, features: int, outputs: int | None) -> dict[str, tuple[int, ...]]:
    """Shapes of the classifier, if the file has one; None accepts any number of outputs."""
    shapes = [array.shape for path, array in ours.items() if path.startswith("head/")]
    if not shapes:
        return {}
    last = shapes[0][-1:] if outputs is None else (outputs,)
    return {"head/kernel": (features, *last), "head/bias": last}


def of_names(found: MatchReport, wanted: Shapes) -> dict[str, list[str]]:
    """Mismatches of names and shapes, for both sides."""
    ours = found.tensors
    broken = tuple(f"{path}/" for path in found.shape_mismatch)
    lacking = [p for p in wanted if p not in ours and not f"{p}/".startswith(broken)]
    surplus = [path for path in ours if path not in wanted]
    unfit = [path for path in ours if path in wanted and ours[path].shape != tuple(wanted[path])]
    return {
        "missing": [f"{path} {list(wanted[path])}" for path in lacking],
        "extra": found.unexpected
        + [f"{describe(found, path)} {list(ours[path].shape)}" for path in surplus],
        "misshapen": [
            *found.shape_mismatch.values(),
            *(f"{describe(found, p)} {list(ours[p].shape)}, here {list(wanted[p])}" for p in unfit),
        ],
        "twice": found.duplicates,
    }


def of_values(found: MatchReport, cast: bool) -> dict[str, list[str]]:
    """Invalid values: dtypes, precision and non-finite numbers."""
    real = {path: array for path, array in found.tensors.items() if is_float(array)}
    return {
        "not floats": [
            f"{describe(found, path)} {array.dtype}"
            for path, array in found.tensors.items()
            if path not in real
        ],
        "of another precision than float32 (cast=True rounds them)": [
            f"{describe(found, path)} {array.dtype}"
            for path, array in real.items()
            if array.dtype != np.float32 and not cast
        ],
        "not finite": [
            describe(found, path)
            for path, array in real.items()
            if not np.isfinite(as_float32(array)).all()
        ],
    }


def describe(found: MatchReport, path: str) -> str:
    """A tensor by its name in the file, if known, and by our path."""
    return f"{found.origin[path]} ({path})" if path in found.origin else path


def is_float(array: np.ndarray) -> bool:
    """Whether an array has a real floating-point dtype, including JAX's bfloat16."""
    return jnp.issubdtype(array.dtype, np.floating)


def as_float32(array: np.ndarray) -> np.ndarray:
    """A C-contiguous copy in float32; values that are too large become infinite."""
    with np.errstate(over="ignore"):
        return np.array(array, np.float32, order="C")
