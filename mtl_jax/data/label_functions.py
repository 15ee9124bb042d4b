"""Functions from the arrays of a part to a label, for `DerivedLabels`."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from mtl_jax.core.validation import require, require_int


@dataclasses.dataclass(frozen=True)
class ClassPresence:
    """Which classes a map contains: `1[at least min_pixels pixels of c]`, float32 `[N, C]`.

    NaN if no pixel of the map has a class.

    Attributes:
      label: name of the map, integers `[N, H, W]`.
      classes: the C classes, by their integers.
      min_pixels: number of pixels from which on a class counts as present.

    Raises:
      BadInput: for classes that are no integers of at least 0, or a number below 1.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import data
      >>> data.ClassPresence("map", (1, 2))({"map": np.array([[[0, 1], [1, -1]]])}).tolist()
      [[1.0, 0.0]]
    """

    label: str
    classes: tuple[int, ...]
    min_pixels: int = 1

    def __post_init__(self):
        require_classes(self)
        require_int(self, min_pixels=1)

    def __call__(self, part: Mapping[str, np.ndarray]) -> np.ndarray:
        """The label `[N, C]` of a part."""
        counts, known = count_pixels(part[self.label], self.classes)
        present = (counts >= self.min_pixels).astype(np.float32)
        return np.where(known > 0, present, np.float32(np.nan))


@dataclasses.dataclass(frozen=True)
class ClassShare:
    """Share of classes among the pixels of a map that have a class, float32 `[N, C]`.

    NaN if no pixel has one.

    Attributes:
      label: name of the map, integers `[N, H, W]`.
      classes: the C classes, by their integers.

    Raises:
      BadInput: for classes that are no integers of at least 0.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import data
      >>> data.ClassShare("map", (1,))({"map": np.array([[[0, 1], [0, 1], [-1, -1]]])}).tolist()
      [[0.5]]
    """

    label: str
    classes: tuple[int, ...]

    def __post_init__(self):
        require_classes(self)

    def __call__(self, part: Mapping[str, np.ndarray]) -> np.ndarray:
        """The label `[N, C]` of a part."""
        counts, known = count_pixels(part[self.label], self.classes)
        return np.where(known > 0, counts / np.maximum(known, 1), np.nan).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class BoxCount:
    """Number of boxes of each class, float32 `[N, C]`; NaN if all of an image's boxes are.

    Attributes:
      label: name of the boxes, `[N, M, 5]` as `Boxes` has them.
      classes: the C classes, by their integers.

    Raises:
      BadInput: for classes that are no integers of at least 0.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import data
      >>> boxes = np.array([[[0, 1, 1, 2, 2], [0, 3, 3, 5, 5], [-1, 0, 0, 0, 0]]])
      >>> data.BoxCount("boxes", (0, 1))({"boxes": boxes}).tolist()
      [[2.0, 0.0]]
    """

    label: str
    classes: tuple[int, ...]

    def __post_init__(self):
        require_classes(self)

    def __call__(self, part: Mapping[str, np.ndarray]) -> np.ndarray:
        """The label `[N, C]` of a part."""
        kinds = part[self.label][..., 0]
        counts = np.stack([(kinds == label).sum(1) for label in self.classes], 1)
        missing = np.isnan(kinds).all(1, keepdims=True)
        return np.where(missing, np.nan, counts).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class BoxPresence:
    """Which classes have a box, `1[count > 0]`, float32 `[N, C]`; NaN as in `BoxCount`.

    Attributes:
      label: as in `BoxCount`, like `classes`.
      classes: the C classes, by their integers.

    Raises:
      BadInput: for classes that are no integers of at least 0.

    Example:
      >>> import numpy as np
      >>> from mtl_jax import data
      >>> boxes = np.array([[[0, 1, 1, 2, 2], [0, 3, 3, 5, 5], [-1, 0, 0, 0, 0]]])
      >>> data.BoxPresence("boxes", (0, 1))({"boxes": boxes}).tolist()
      [[1.0, 0.0]]
    """

    label: str
    classes: tuple[int, ...]

    def __post_init__(self):
        require_classes(self)

    def __call__(self, part: Mapping[str, np.ndarray]) -> np.ndarray:
        """The label `[N, C]` of a part."""
        return np.minimum(BoxCount(self.label, self.classes)(part), 1)


def require_classes(function: ClassPresence | ClassShare | BoxCount | BoxPresence) -> None:
    """Checks that `classes` is a tuple of different integers of at least 0."""
    classes = function.classes
    valid = isinstance(classes, tuple) and len(classes) > 0
    valid = valid and all(type(c) is int and c >= 0 for c in classes)
    valid = valid and len({*classes}) == len(classes)
    require(valid, function, "classes", "must be different integers of at least 0", classes)


def count_pixels(maps: np.ndarray, classes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of each class `[N, C]`, and of any class `[N, 1]`."""
    counts = [(maps == label).sum((1, 2)) for label in classes]
    return np.stack(counts, 1), (maps >= 0).sum((1, 2))[:, None]
