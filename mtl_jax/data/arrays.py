"""A source of arrays that are in memory already."""

import dataclasses
from collections.abc import Mapping

import jax
import numpy as np

from mtl_jax.checks import BadInput
from mtl_jax.identity import source_text
from mtl_jax.protocols import Splits


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Arrays:
    """Arrays of three parts, each a dict of "image" `[N, H, W, C]` and labels `[N, ...]`.

    Two are equal if their arrays hold the same values of the same types. It prints with the
    hashes of the arrays, since their values would fill pages.

    Attributes:
      train: arrays of the training part.
      validation: arrays of the validation part.
      test: arrays of the test part.

    Raises:
      BadInput: if a part is empty, lacks the images or a label of another part, or has
        arrays of different lengths; if images are neither uint8 nor float32 in [0, 1], or
        differ in shape between parts; if labels are not numbers.
    """

    train: Mapping[str, np.ndarray]
    validation: Mapping[str, np.ndarray]
    test: Mapping[str, np.ndarray]

    def __post_init__(self):
        for name in Splits._fields:
            part = {key: np.asarray(array) for key, array in getattr(self, name).items()}
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
        return {k: jax.ShapeDtypeStruct(a.shape, a.dtype) for k, a in self.train.items()}

    def load(self) -> Splits:
        """The arrays as they were given."""
        return Splits(self.train, self.validation, self.test)


def check_part(name: str, part: dict[str, np.ndarray]) -> None:
    """Requires images and labels of one length and of the right kinds."""
    if "image" not in part:
        raise BadInput(f'Arrays.{name} must have "image"; it has {", ".join(map(repr, part))}')
    image = part["image"]
    if image.ndim != 4:
        raise BadInput(f'Arrays.{name}["image"] must be [N, H, W, C], not {list(image.shape)}')
    if image.size == 0:
        raise BadInput(f'Arrays.{name}["image"] must not be empty, as {list(image.shape)} is')
    if image.dtype not in (np.uint8, np.float32):
        raise BadInput(f'Arrays.{name}["image"] must be uint8 or float32, not {image.dtype}')
    if image.dtype == np.float32 and not (image.min() >= 0 and image.max() <= 1):
        low, high = image.min(), image.max()
        raise BadInput(f'Arrays.{name}["image"] must lie in [0, 1], not in [{low}, {high}]')
    for key, array in part.items():
        if array.ndim == 0 or len(array) != len(image):
            shape = list(array.shape)
            raise BadInput(f"Arrays.{name}[{key!r}] must have {len(image)} rows, not shape {shape}")
        if array.dtype.kind not in "iuf":
            raise BadInput(f"Arrays.{name}[{key!r}] must hold numbers, not {array.dtype}")


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
