"""A source of arrays that are in memory already."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.core.fingerprint import source_text
from mtl_jax.core.protocols import Splits
from mtl_jax.core.validation import BadInput, require
from mtl_jax.data.labels import signed

# By the number of axes: the types that there may be, and what these are.
TYPES = {
    2: (("float32", "int32"), "numbers [N, D] of float32 or tokens [N, T] of int32"),
    3: (("float32",), "signals [N, T, C] of float32"),
    4: (("uint8", "float32"), "images [N, H, W, C] of uint8 or float32"),
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Arrays:
    """Arrays of three parts, each a dict of "image" and labels `[N, ...]`.

    What "image" holds is told by its axes and type:

    | what    | shape          | type                        | read by, for example  |
    |---------|----------------|-----------------------------|-----------------------|
    | images  | `[N, H, W, C]` | uint8, or float32 in [0, 1] | `nets.CNN`            |
    | signals | `[N, T, C]`    | float32, finite             | `nets.FCN`            |
    | numbers | `[N, D]`       | float32, finite             | `nets.MLP`            |
    | tokens  | `[N, T]`       | int32, at least 0           | `nets.BERT`           |

    So grey images need their axis C of 1: without it floats are signals. Labels are numbers
    `[N, ...]`: integers with -1 or floats with NaN where one is missing; truth values and unsigned
    integers, which have no -1, are loaded as int64. Two are equal if their
    arrays hold the same values of the same types. It prints with the hashes of the arrays, since
    their values would fill pages.

    Attributes:
      train: arrays of the training part.
      validation: arrays of the validation part.
      test: arrays of the test part.

    Raises:
      BadInput: if a part is empty, lacks "image" or a label of another part, or has arrays of
        different lengths; if "image" is none of the table, seems to have its channels first, or
        differs in shape or type between parts; if labels are not numbers.
    """

    train: Mapping[str, np.ndarray]
    validation: Mapping[str, np.ndarray]
    test: Mapping[str, np.ndarray]

    def __post_init__(self):
        for name in Splits._fields:
            part = getattr(self, name)
            require(isinstance(part, Mapping), self, name, "must be a dict of arrays", part)
            part = {key: as_array(f"Arrays.{name}[{key!r}]", array) for key, array in part.items()}
            object.__setattr__(self, name, part)
            check_part(name, part)
        for name in ("validation", "test"):
            check_alike(self.train, name, getattr(self, name))

    def __repr__(self) -> str:
        return source_text(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Arrays):
            return NotImplemented
        return self is other or repr(self) == repr(other)

    def __hash__(self) -> int:
        # Shapes only: equal ones agree, and no array is read when a run is looked up.
        parts = (self.train, self.validation, self.test)
        return hash(tuple(frozenset((k, a.shape) for k, a in part.items()) for part in parts))

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part."""
        kinds = {k: a.dtype if k == "image" else signed(a[:0]).dtype for k, a in self.train.items()}
        return {k: jax.ShapeDtypeStruct(a.shape, kinds[k]) for k, a in self.train.items()}

    def load(self) -> Splits:
        """The arrays as they were given, but for labels that cannot be -1, which become int64."""
        parts = (self.train, self.validation, self.test)
        return Splits(
            *({k: a if k == "image" else signed(a) for k, a in part.items()} for part in parts)
        )


def as_array(where: str, values: Any) -> np.ndarray:
    """Values as an array."""
    try:
        return np.asarray(values)
    except ValueError as wrong:
        raise BadInput(f"{where} must be an array: {wrong}") from None


def check_part(name: str, part: dict[str, np.ndarray]) -> None:
    """Requires inputs and labels of one length and of the right kinds."""
    if "image" not in part:
        raise BadInput(f'Arrays.{name} must have "image"; it has {", ".join(map(repr, part))}')
    image = part["image"]
    check_image(f'Arrays.{name}["image"]', image)
    for key, array in part.items():
        if array.ndim == 0 or len(array) != len(image):
            shape = list(array.shape)
            raise BadInput(f"Arrays.{name}[{key!r}] must have {len(image)} rows, not shape {shape}")
        if array.dtype.kind not in "biuf":
            raise BadInput(
                f"Arrays.{name}[{key!r}] must hold numbers, not {array.dtype}; give classes as "
                "integers, as in numpy.unique(labels, return_inverse=True)[1]"
            )


def check_image(where: str, image: np.ndarray) -> None:
    """Requires images, signals, numbers or tokens, `where` says whose."""
    if image.ndim not in TYPES:
        rule = "must be [N, H, W, C], [N, T, C], [N, D] or tokens [N, T]"
        raise BadInput(f"{where} {rule}, not {list(image.shape)}")
    if image.size == 0:
        raise BadInput(f"{where} must not be empty, as {list(image.shape)} is")
    require_channels_last(where, image.shape)
    types, kinds = TYPES[image.ndim]
    if image.dtype not in types:
        raise BadInput(f"{where} must be {kinds}, not {image.dtype} {list(image.shape)}")
    # A NaN is the smallest and the largest of what it is in.
    low, high = image.min(), image.max()
    if image.dtype == np.int32 and low < 0:
        raise BadInput(f"{where} must hold tokens of at least 0, not {low}")
    if image.dtype == np.float32 and image.ndim == 4 and not (low >= 0 and high <= 1):
        raise BadInput(f"{where} must lie in [0, 1], not in [{low}, {high}]")
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadInput(f"{where} must be finite, not in [{low}, {high}]")


def require_channels_last(where: str, shape: tuple[int, ...]) -> None:
    """Refuses shapes of images `[N, C, H, W]`: 1, 3 or 4 channels before sides of more than 4.

    Args:
      where: says whose images these are.
      shape: theirs.

    Raises:
      BadInput: naming the transpose.
    """
    if len(shape) == 4 and shape[1] in (1, 3, 4) and min(shape[2:]) > 4:
        raise BadInput(
            f"{where} must be [N, H, W, C], and {list(shape)} seems to have its channels first: "
            "give images.transpose(0, 2, 3, 1)"
        )


def check_alike(train: dict[str, np.ndarray], name: str, part: dict[str, np.ndarray]) -> None:
    """Requires the same keys, types and shapes of one example as the training part has."""
    for key in sorted(train.keys() ^ part.keys()):
        lacking, having = (name, "train") if key in train else ("train", name)
        raise BadInput(f"Arrays.{lacking} must have {key!r}, as {having} has")
    for key, array in part.items():
        found, wanted = (f"{a.dtype} [N{''.join(f', {n}' for n in a.shape[1:])}]"
                         for a in (array, train[key]))  # fmt: skip
        if found != wanted:
            raise BadInput(f"Arrays.{name}[{key!r}] must be {wanted} as in train, not {found}")
