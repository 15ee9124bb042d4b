"""Labels that are computed from those of a source, such as which classes a map contains."""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits, WrappedSource
from mtl_jax.core.tree import num_examples
from mtl_jax.core.validation import BadInput, require

LabelFn = Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclasses.dataclass(frozen=True)
class DerivedLabels(WrappedSource):
    """Wraps a source and adds labels that are functions of its arrays.

    A function maps the arrays of a part, "inputs" and the source's labels `[N, ...]`, to one array
    `[N, ...]` of integers with -1, or floats with NaN, for missing labels. It must treat examples
    separately; to tell the shape of a label, it is called with one example of zeros.

    Attributes:
      source: wrapped source, with a single input.
      labels: pairs of a label's name and its function, such as `ClassPresence`.

    Raises:
      BadInput: for a value that is no data source, or pairs of other types, with names that occur
        twice, are empty or "inputs"; and from `shapes` and `load` for a multi-input source, a name
        that the source has, or a function that does not give a numeric array of as many examples,
        and from `load`, if its shape or type is another than for zeros.

    Example:
      >>> from mtl_jax import data
      >>> presence = data.ClassPresence("segmentation", (8, 9))
      >>> data.DerivedLabels(data.CamVid("CamVid"), (("cars", presence),)).labels[0][0]
      'cars'
    """

    labels: tuple[tuple[str, LabelFn], ...]

    def __post_init__(self):
        valid = isinstance(self.source, DataSource)
        require(valid, self, "source", 'must be a source such as data.CamVid("x")', self.source)
        valid = isinstance(self.labels, tuple) and len(self.labels) > 0
        valid = valid and all(isinstance(pair, tuple) and len(pair) == 2 for pair in self.labels)
        valid = valid and all(isinstance(k, str) and callable(f) for k, f in self.labels)
        require(valid, self, "labels", "must be pairs of a name and a function", self.labels)
        names = [name for name, _ in self.labels]
        valid = len({*names}) == len(names) and not {*names} & {"", "inputs"}
        require(valid, self, "labels", 'must have different names, not "" or "inputs"', names)

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and types of the training part; functions are called with one example of zeros."""
        shapes = dict(self.source.shapes())
        self.require_single(shapes)
        count = num_examples(shapes["inputs"])
        zeros = jax.tree.map(lambda spec: np.zeros((1, *spec.shape[1:]), spec.dtype), shapes)
        derived = self.derive(zeros)
        return shapes | {
            name: jax.ShapeDtypeStruct((count, *array.shape[1:]), array.dtype)
            for name, array in derived.items()
        }

    def load(self) -> Splits:
        """Reads the source and computes the labels of each part."""
        shapes, parts = self.shapes(), []
        for part in self.source.load():
            derived = self.derive(part)
            for name, array in derived.items():
                actual, expected = ((a.shape[1:], a.dtype) for a in (array, shapes[name]))
                rule = f"must give the shape and type {expected} of zeros"
                require(actual == expected, self, f"labels: {name!r}", rule, actual)
            parts.append({**part, **derived})
        return Splits(*parts)

    def derive(self, part: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The derived labels of a part."""
        count, derived = num_examples(part["inputs"]), {}
        for name, function in self.labels:
            array = function(part)
            valid = isinstance(array, np.ndarray) and array.dtype.kind in "if"
            valid = valid and array.shape[:1] == (count,)
            actual = (
                f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else array
            )
            rule = f"must give an array of integers or floats [{count}, ...]"
            require(valid, self, f"labels: {name!r}", rule, actual)
            derived[name] = array
        return derived

    def require_single(self, shapes: Mapping[str, jax.ShapeDtypeStruct]) -> None:
        """Requires a source with a single input and without the new names."""
        if "inputs" not in shapes:
            raise BadInput(f'DerivedLabels: the source must have "inputs", not {sorted(shapes)}')
        for name, _ in self.labels:
            rule = "must have names that the source has not"
            require(name not in shapes, self, "labels", rule, name)
