"""A data source of arrays in memory."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.tree import num_examples
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.labels import as_signed

# Allowed types by number of axes, and a description of the data.
TYPES = {
    2: (("float32", "int32"), "numbers [N, D] of float32 or tokens [N, T] of int32"),
    3: (("float32",), "signals [N, T, C] of float32"),
    4: (("uint8", "float32"), "images [N, H, W, C] of uint8 or float32"),
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Arrays(DataSource):
    """Arrays in three parts, each a dict of "inputs" and labels `[N, ...]`.

    The number of axes and the type of "inputs" determine the kind of data:

    | kind     | shape          | type                        | read by, for example  |
    |----------|----------------|-----------------------------|-----------------------|
    | images   | `[N, H, W, C]` | uint8, or float32 in [0, 1] | `nets.CNN`            |
    | signals  | `[N, T, C]`    | float32, finite             | `nets.FCN`            |
    | features | `[N, D]`       | float32, finite             | `nets.MLP`            |
    | tokens   | `[N, T]`       | int32, at least 0           | `nets.BERT`           |

    Inputs may be a dict of arrays `[N, ...]` of uint8, int32 or finite float32 instead, for a
    trunk that reads one, such as the atoms and bonds of molecules.

    Grayscale images therefore require a channel axis of size 1: without it, floats are read as
    signals. Labels are numeric arrays `[N, ...]`: integers with -1, or floats with NaN, for missing
    values; booleans and unsigned integers, which cannot represent -1, are loaded as int64. Two
    sources are equal if their arrays have equal values and types. The repr shows hashes of the
    arrays instead of their values.

    Attributes:
      train: arrays of the training part.
      validation: arrays of the validation part.
      test: arrays of the test part.

    Raises:
      BadInput: if a part is empty, lacks "inputs" or a label of another part, or has arrays of
        different lengths; if "inputs" matches no row of the table, appears to be channels-first, or
        differs in shape or type between parts; if labels are not numeric.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import data
      >>> part = {"inputs": np.zeros((4, 8, 8, 1), np.float32), "digit": np.arange(4)}
      >>> data.Arrays(train=part, validation=part, test=part).shapes()["inputs"].shape
      (4, 8, 8, 1)
    """

    train: Mapping[str, Any]
    validation: Mapping[str, Any]
    test: Mapping[str, Any]

    def __post_init__(self):
        for name in Splits._fields:
            part = getattr(self, name)
            require(isinstance(part, Mapping), self, name, "must be a dict of arrays", part)
            part = as_arrays(f"Arrays.{name}", part)
            object.__setattr__(self, name, part)
            check_part(name, part)
        for name in ("validation", "test"):
            check_same_structure(self.train, name, getattr(self, name))

    def __repr__(self) -> str:
        return to_source(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Arrays):
            return NotImplemented
        return self is other or repr(self) == repr(other)

    def __hash__(self) -> int:
        # Hash the shapes only: consistent with equality, and a run look-up reads no array.
        parts = (self.train, self.validation, self.test)
        return hash(tuple(frozenset((k, leaf.shape) for k, leaf in leaves(p)) for p in parts))

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part."""

        def shape(array: np.ndarray, dtype: np.dtype) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(array.shape, dtype)

        inputs = jax.tree.map(lambda array: shape(array, array.dtype), self.train["inputs"])
        return {
            key: inputs if key == "inputs" else shape(array, as_signed(array[:0]).dtype)
            for key, array in self.train.items()
        }

    def load(self) -> Splits:
        """Returns the given arrays, with boolean and unsigned integer labels cast to int64."""
        parts = (self.train, self.validation, self.test)
        return Splits(
            *({k: a if k == "inputs" else as_signed(a) for k, a in part.items()} for part in parts)
        )


def as_arrays(where: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """Converts the values of a dict, possibly nested, to arrays."""
    return {
        key: as_arrays(f"{where}[{key!r}]", value)
        if isinstance(value, Mapping)
        else as_array(f"{where}[{key!r}]", value)
        for key, value in part.items()
    }


def leaves(part: Mapping[str, Any], path: str = "") -> list[tuple[str, np.ndarray]]:
    """The arrays of a dict, possibly nested, by path."""
    found = []
    for key, value in part.items():
        nested = isinstance(value, Mapping)
        found += leaves(value, f"{path}{key}/") if nested else [(f"{path}{key}", value)]
    return found


def as_array(where: str, values: Any) -> np.ndarray:
    """Converts values to an array."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise BadInput(f"{where} must be an array: {error}") from None


def check_part(name: str, part: Mapping[str, Any]) -> None:
    """Checks that inputs and labels have equal lengths and valid types."""
    if "inputs" not in part:
        raise BadInput(f'Arrays.{name} must have "inputs"; it has {", ".join(map(repr, part))}')
    inputs = part["inputs"]
    if isinstance(inputs, Mapping):
        check_tree(f'Arrays.{name}["inputs"]', inputs)
    else:
        check_image(f'Arrays.{name}["inputs"]', inputs)
    rows = num_examples(inputs)
    for key, array in leaves(part):
        if array.ndim == 0 or len(array) != rows:
            shape = list(array.shape)
            raise BadInput(f"Arrays.{name}[{key!r}] must have {rows} rows, not shape {shape}")
        if array.dtype.kind not in "biuf":
            raise BadInput(
                f"Arrays.{name}[{key!r}] must hold numbers, not {array.dtype}; give classes as "
                "integers, as in numpy.unique(labels, return_inverse=True)[1]"
            )


def check_tree(where: str, inputs: Mapping[str, Any]) -> None:
    """Checks the arrays of a dict of inputs; `where` names it."""
    arrays = leaves(inputs)
    if not arrays or any(array.size == 0 for _, array in arrays):
        raise BadInput(f"{where} must be a dict of arrays that are not empty")
    for path, array in arrays:
        if array.dtype not in ("uint8", "int32", "float32"):
            raise BadInput(f"{where}: {path!r} must be uint8, int32 or float32, not {array.dtype}")
        if array.dtype == np.float32 and not np.isfinite(array).all():
            raise BadInput(f"{where}: {path!r} must be finite")


def check_image(where: str, image: np.ndarray) -> None:
    """Checks that an array holds images, signals, features or tokens; `where` names it."""
    if image.ndim not in TYPES:
        rule = "must be [N, H, W, C], [N, T, C], [N, D] or tokens [N, T]"
        raise BadInput(f"{where} {rule}, not {list(image.shape)}")
    if image.size == 0:
        raise BadInput(f"{where} must not be empty, as {list(image.shape)} is")
    require_channels_last(where, image.shape)
    types, description = TYPES[image.ndim]
    if image.dtype not in types:
        raise BadInput(f"{where} must be {description}, not {image.dtype} {list(image.shape)}")
    # The minimum and maximum of an array that contains NaN are NaN.
    low, high = image.min(), image.max()
    if image.dtype == np.int32 and low < 0:
        raise BadInput(f"{where} must hold tokens of at least 0, not {low}")
    if image.dtype == np.float32 and image.ndim == 4 and not (low >= 0 and high <= 1):
        raise BadInput(f"{where} must lie in [0, 1], not in [{low}, {high}]")
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadInput(f"{where} must be finite, not in [{low}, {high}]")


def require_channels_last(where: str, shape: tuple[int, ...]) -> None:
    """Rejects channels-first shapes `[N, C, H, W]`: C of 1, 3 or 4 and both sides larger than 4.

    Args:
      where: name of the images in errors.
      shape: shape of the images.

    Raises:
      BadInput: with the required transpose.
    """
    if len(shape) == 4 and shape[1] in (1, 3, 4) and min(shape[2:]) > 4:
        raise BadInput(
            f"{where} must be [N, H, W, C], and {list(shape)} seems to have its channels first: "
            "give images.transpose(0, 2, 3, 1)"
        )


def check_same_structure(train: Mapping[str, Any], name: str, part: Mapping[str, Any]) -> None:
    """Checks that a part has the keys, types and per-example shapes of the training part."""
    train, part = dict(leaves(train)), dict(leaves(part))
    for key in sorted(train.keys() ^ part.keys()):
        missing, other = (name, "train") if key in train else ("train", name)
        raise BadInput(f"Arrays.{missing} must have {key!r}, as {other} has")
    for key, array in part.items():
        actual, expected = (f"{a.dtype} [N{''.join(f', {n}' for n in a.shape[1:])}]"
                         for a in (array, train[key]))  # fmt: skip
        if actual != expected:
            raise BadInput(f"Arrays.{name}[{key!r}] must be {expected} as in train, not {actual}")
