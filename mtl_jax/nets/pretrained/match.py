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


def match_tensors(
    tensors: Tensors,
    names: NameMap,
    expected: Shapes,
    features: int,
    *,
    outputs: int | None = None,
    cast: bool = False,
) -> dict[str, np.ndarray]:
    """Converts tensors to the paths and shapes of a trunk's variables.

    Args:
      tensors: tensors by their names in the file.
      names: the naming of the tensors.
      expected: shapes of the trunk's variables by path.
      features: D, the required number of inputs of a classifier in the file.
      outputs: its required number of outputs; None for any number.
      cast: whether floats of another precision are cast to float32.

    Returns:
      Arrays of float32 by path: all of `expected`, and the classifier if there is one.

    Raises:
      BadInput: a single error for all tensors that are missing, unexpected, of the wrong shape,
        dtype or precision, or not finite.
    """
    report = map_names(tensors, names.table)
    expected = {**expected, **head_shapes(report.tensors, features, outputs)}
    if names.fit is not None:
        report = report._replace(tensors=names.fit(dict(report.tensors), expected))
    faults = {**name_faults(report, expected), **value_faults(report, cast)}
    if any(faults.values()):
        rule = f"must hold each tensor of the trunk once, by the names of {names.name}"
        raise BadInput(f"{rule}; {summary(faults)}")
    return {path: as_float32(array) for path, array in report.tensors.items()}


def summary(faults: Mapping[str, list[str]]) -> str:
    """The first mismatches of each kind and the number of the others, as one short line."""
    for max_rows in (8, 5, 3, 2, 1):
        text = "; ".join(f"{kind}: {few(rows, max_rows)}" for kind, rows in faults.items() if rows)
        if len(text) <= 300:
            break
    return text


def map_names(tensors: Tensors, table: Iterable[NameRule]) -> MatchReport:
    """Maps each tensor to the path of the first row that matches its name."""
    report = MatchReport({}, {}, [], [], {})
    for name, array in tensors.items():
        matches = ((rule, re.fullmatch(rule.pattern, name)) for rule in table)
        rule, match = next((pair for pair in matches if pair[1]), (None, None))
        if rule is None or match is None:
            report.unexpected.append(f"{name} {list(array.shape)}")
        elif rule.path is not None:
            add_tensor(report, name, array, rule, match.expand(rule.path))
    return report


def add_tensor(
    report: MatchReport, name: str, array: np.ndarray, rule: NameRule, path: str
) -> None:
    """Adds a tensor, or the several that it is split into, to the report."""
    try:
        converted = rule.change(array)
    except ValueError:
        report.shape_mismatch[path] = f"{name} {list(array.shape)}, which cannot be {path}"
        return
    parts = converted if isinstance(converted, Mapping) else {"": converted}
    for suffix, part in parts.items():
        full_path = f"{path}/{suffix}" if suffix else path
        if full_path in report.tensors:
            report.duplicates.append(f"{name} and {report.origin[full_path]} for {full_path}")
        report.tensors[full_path], report.origin[full_path] = part, name


def head_shapes(tensors: Tensors, features: int, outputs: int | None) -> dict[str, tuple[int, ...]]:
    """Shapes of the classifier, if the file has one; None accepts any number of outputs."""
    shapes = [array.shape for path, array in tensors.items() if path.startswith("head/")]
    if not shapes:
        return {}
    outputs_shape = shapes[0][-1:] if outputs is None else (outputs,)
    return {"head/kernel": (features, *outputs_shape), "head/bias": outputs_shape}


def name_faults(report: MatchReport, expected: Shapes) -> dict[str, list[str]]:
    """Mismatches of names and shapes, for both sides."""
    tensors = report.tensors
    mismatched = tuple(f"{path}/" for path in report.shape_mismatch)
    missing = [p for p in expected if p not in tensors and not f"{p}/".startswith(mismatched)]
    extra = [path for path in tensors if path not in expected]
    misshapen = [
        path
        for path in tensors
        if path in expected and tensors[path].shape != tuple(expected[path])
    ]
    return {
        "missing": [f"{path} {list(expected[path])}" for path in missing],
        "extra": report.unexpected
        + [f"{describe(report, path)} {list(tensors[path].shape)}" for path in extra],
        "misshapen": [
            *report.shape_mismatch.values(),
            *(
                f"{describe(report, p)} {list(tensors[p].shape)}, here {list(expected[p])}"
                for p in misshapen
            ),
        ],
        "twice": report.duplicates,
    }


def value_faults(report: MatchReport, cast: bool) -> dict[str, list[str]]:
    """Invalid values: dtypes, precision and non-finite numbers."""
    real = {path: array for path, array in report.tensors.items() if is_float(array)}
    return {
        "not floats": [
            f"{describe(report, path)} {array.dtype}"
            for path, array in report.tensors.items()
            if path not in real
        ],
        "of another precision than float32 (cast=True rounds them)": [
            f"{describe(report, path)} {array.dtype}"
            for path, array in real.items()
            if array.dtype != np.float32 and not cast
        ],
        "not finite": [
            describe(report, path)
            for path, array in real.items()
            if not np.isfinite(as_float32(array)).all()
        ],
    }


def describe(report: MatchReport, path: str) -> str:
    """A tensor by its name in the file, if known, and by our path."""
    return f"{report.origin[path]} ({path})" if path in report.origin else path


def is_float(array: np.ndarray) -> bool:
    """Whether an array has a real floating-point dtype, including JAX's bfloat16."""
    return jnp.issubdtype(array.dtype, np.floating)


def as_float32(array: np.ndarray) -> np.ndarray:
    """A C-contiguous copy in float32; values that are too large become infinite."""
    with np.errstate(over="ignore"):
        return np.array(array, np.float32, order="C")
