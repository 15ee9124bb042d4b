"""Names of pretrained tensors: tables from those of a file to the paths of our variables."""

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
class Line:
    r"""A row of a table: some tensors of a file, where they lie here, and how they change.

    `change(array)` gives our array; or several, `{end: array}`, which then lie at `path/end`, as
    a fused matrix of queries, keys and values is three of ours. It may raise `ValueError` for an
    array of another number of axes, which is then reported as misshapen.

    Attributes:
      pattern: regular expression that the whole name of a tensor must match.
      path: where it lies among our variables, with groups of the pattern as `\1` or `\g<1>`:
        `params/...` or `batch_stats/...`, and of a classifier `head/kernel` or `head/bias`;
        None for tensors that are known and not needed.
      change: a function of a module, such as those of `mtl_jax.nets.pretrained.transpose`.

    Raises:
      BadInput: for a pattern that is none, or a path that lies elsewhere.
    """

    pattern: str
    path: str | None
    change: Callable[[np.ndarray], np.ndarray | dict[str, np.ndarray]] = as_is

    def __post_init__(self):
        require_pattern(self, "pattern", self.pattern)
        fine = self.path is None or f"{self.path}/".startswith(ROOTS)
        require(fine, self, "path", f"must be None or begin with one of {ROOTS}", self.path)


@dataclasses.dataclass(frozen=True)
class Names:
    """How one program names the tensors of one architecture, and what images they expect.

    Of the lines that match a name the first one counts. `fit(tensors, wanted) -> tensors` comes
    after them, for what no line can know: `tensors` are arrays by our paths, `wanted` the shapes
    of our trunk's variables by path (and `head/kernel`, `head/bias`). It must leave alone what it
    does not know, so that all that does not fit is reported together.

    Attributes:
      name: of the naming, for messages.
      table: the lines, in order.
      preprocessing: of images; None for texts.
      fit: such a function of a module, or None.

    Raises:
      BadInput: for a table that is none.
    """

    name: str
    table: tuple[Line, ...]
    preprocessing: Preprocessing | None = None
    fit: Callable[[dict[str, np.ndarray], Shapes], dict[str, np.ndarray]] | None = None

    def __post_init__(self):
        fine = isinstance(self.table, tuple) and all(isinstance(row, Line) for row in self.table)
        require(fine and len(self.table) > 0, self, "table", "must be a tuple of Lines", self.table)
