"""Maps from the names of pretrained tensors in a file to the paths of our variables."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from mtl_jax.core.validation import require, require_pattern
from mtl_jax.nets.pretrained.preprocessing import Preprocessing
from mtl_jax.nets.pretrained.transpose import as_is

Tensors = Mapping[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]
ROOTS = ("params/", "batch_stats/", "head/")


@dataclasses.dataclass(frozen=True)
class NameRule:
    r"""A row of a table: maps some tensors of a file to a path, with a conversion.

    `change(array)` returns our array; or several, `{end: array}`, which are then stored at
    `path/end`, e.g. a fused matrix of queries, keys and values, which is three arrays here. It may
    raise `ValueError` for an unexpected number of axes, which is then reported as a shape mismatch.

    Attributes:
      pattern: regular expression that the full name of a tensor must match.
      path: the path among our variables, with groups of the pattern as `\1` or `\g<1>`:
        `params/...` or `batch_stats/...`, and for a classifier `head/kernel` or `head/bias`;
        None for known tensors that are not needed.
      change: a module-level function, such as those of `mtl_jax.nets.pretrained.transpose`.

    Raises:
      BadInput: for an invalid pattern, or another path.

    Example:
      >>> import numpy as np
      >>> from mtl_jax.nets.pretrained import NameRule
      >>> from mtl_jax.nets.pretrained.transpose import linear
      >>> rule = NameRule(r"layers\.(\d+)\.weight", r"params/Dense_\1/kernel", linear)
      >>> rule.change(np.ones((3, 4))).shape
      (4, 3)
    """

    pattern: str
    path: str | None
    change: Callable[[np.ndarray], np.ndarray | dict[str, np.ndarray]] = as_is

    def __post_init__(self):
        require_pattern(self, "pattern", self.pattern)
        valid = self.path is None or f"{self.path}/".startswith(ROOTS)
        require(valid, self, "path", f"must be None or begin with one of {ROOTS}", self.path)


@dataclasses.dataclass(frozen=True)
class NameMap:
    """The tensor names of an architecture in one library, and the preprocessing of its images.

    The first row that matches a name is used. `fit(tensors, shapes) -> tensors` is applied
    afterwards, for conversions that depend on the trunk: `tensors` are arrays by our paths,
    `shapes` those of our trunk's variables by path (and `head/kernel`, `head/bias`). It must
    leave unknown tensors unchanged, so that all mismatches are reported together.

    Attributes:
      name: name of the naming, for messages.
      table: the rows, in order.
      preprocessing: preprocessing of images; None for texts.
      fit: such a module-level function, or None.

    Raises:
      BadInput: for an invalid table.
    """

    name: str
    table: tuple[NameRule, ...]
    preprocessing: Preprocessing | None = None
    fit: Callable[[dict[str, np.ndarray], Shapes], dict[str, np.ndarray]] | None = None

    def __post_init__(self):
        valid = isinstance(self.table, tuple) and all(
            isinstance(row, NameRule) for row in self.table
        )
        require(
            valid and len(self.table) > 0, self, "table", "must be a tuple of NameRules", self.table
        )
