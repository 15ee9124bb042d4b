"""Validation of the settings of transforms of examples, and the kinds of labels."""

from typing import Any, get_args

import jax
import jax.numpy as jnp

from mtl_jax.core.example_transform import Kinds, LabelKind, Size
from mtl_jax.core.validation import did_you_mean, require

ALL_KINDS: tuple[LabelKind, ...] = get_args(LabelKind)
# What a label of a kind must be.
FORMS = {
    "classes": "signed integers [H, W, ...]",
    "map": "floats [H, W, ...]",
    "depth": "floats [H, W, ...]",
    "normals": "floats [H, W, 3]",
    "boxes": "floats [M, 5]",
    "value": "an array",
}


def require_size(owner: Any) -> None:
    """Requires that `size` is a height and a width of at least 1."""
    size = owner.size
    valid = isinstance(size, tuple) and len(size) == 2
    valid = valid and all(type(length) is int and length >= 1 for length in size)
    require(valid, owner, "size", "must be a height and a width, integers of at least 1", size)


def require_kinds(owner: Any) -> None:
    """Requires that `kinds` has pairs of a label and its kind, each label once."""
    kinds = owner.kinds
    valid = isinstance(kinds, tuple) and all(
        isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) for pair in kinds
    )
    require(valid, owner, "kinds", "must be a tuple of pairs (label, kind)", kinds)
    for name, kind in kinds:
        rule = f"must be one of {ALL_KINDS} for {name!r}"
        require(isinstance(kind, str) and kind in ALL_KINDS, owner, "kinds", rule, kind)
    names = [name for name, _ in kinds]
    require(len({*names}) == len(names), owner, "kinds", "must name each label once", names)


def kinds_of(owner: Any, named: Kinds, size: Size, labels: dict[str, Any]) -> dict[str, LabelKind]:
    """The kind of each label of one example.

    Args:
      owner: named in errors.
      named: kinds that are given. Others follow from shape and dtype: of the image's height and
        width, signed integers are classes and floats a map; a number or a vector is a value.
      size: height and width of the image.
      labels: arrays by name, without a batch axis, or their shapes; an example without labels
        takes all kinds.

    Raises:
      BadInput: for a kind of no label, a label that does not fit its kind, or one whose kind
        does not follow.
    """
    for name in named if labels else ():
        rule = f"must name labels of the example ({did_you_mean(name, labels)})"
        require(name in labels, owner, "kinds", rule, name)
    kinds: dict[str, LabelKind] = {}
    for name, label in labels.items():
        kind, found = (
            named.get(name) or infer_kind(label, size),
            f"{label.dtype} {list(label.shape)}",
        )
        height, width = size
        rule = f"must say what {name!r} is beside an image of {height} x {width}: {ALL_KINDS}"
        require(kind is not None, owner, "kinds", rule, found)
        assert kind is not None
        kinds[name] = kind
        rule = f"must fit: {name!r}, of kind {kind!r}, must be {FORMS[kind]}"
        rule += f" with H, W = {height}, {width}" * (kind not in ("boxes", "value"))
        require(has_form(kind, label, size), owner, "kinds", rule, found)
    return kinds


def infer_kind(label: jax.Array | jax.ShapeDtypeStruct, size: Size) -> LabelKind | None:
    """The kind of a label of which only the array is known, or None."""
    if label.ndim < 2:
        return "value"
    kinds: tuple[LabelKind, ...] = ("classes", "map")
    return next((kind for kind in kinds if has_form(kind, label, size)), None)


def has_form(kind: LabelKind, label: jax.Array | jax.ShapeDtypeStruct, size: Size) -> bool:
    """Whether a label of one example may have a kind."""
    if kind == "value":
        return True
    if kind == "classes":
        return label.shape[:2] == size and jnp.issubdtype(label.dtype, jnp.signedinteger)
    if not jnp.issubdtype(label.dtype, jnp.floating):
        return False
    if kind == "boxes":
        return label.ndim == 2 and label.shape[1] == 5
    if kind == "normals":
        return label.shape == (*size, 3)
    return label.shape[:2] == size
