"""A descent is data: a balancing method on exact losses of a few numbers, from several starts."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import jax

from mtl_jax.config.optimizers import SGD, Adam
from mtl_jax.core.protocols import Balance
from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import require, require_count, require_name


@runtime_checkable
class Problem(Protocol):
    """Objectives of a point, and how far from their Pareto set it is."""

    window: tuple[tuple[float, float], ...]  # What a figure shows of each coordinate, [D, 2].

    def losses(self, point: jax.Array) -> jax.Array:
        """Maps a point `[D]` to losses `[K]`."""

    def gap(self, point: jax.Array) -> jax.Array:
        """Maps a point `[D]` to its distance from the Pareto set `[]`, in its coordinates."""


@typed
@dataclasses.dataclass(frozen=True, kw_only=True)
class Descent:
    """One row of a table: a method on a problem.

    Attributes:
      name: of the row and of its folder.
      problem: what is descended.
      balance: a weighting or an aggregator.
      optimizer: a recipe of `mtl_jax.config.optimizers`.
      steps: length of the descent.
      starts: points `[S, D]`; all go side by side.
      within: gap below which a point counts as on the Pareto set.
      records: how many points of each path are kept, at equal distances in steps.
      seed: for methods that draw.

    Raises:
      BadInput: for a value outside its rule.
    """

    name: str
    problem: Problem
    balance: Balance
    optimizer: SGD | Adam
    steps: int
    starts: tuple[tuple[float, ...], ...]
    within: float = 0.1
    records: int = 100
    seed: int = 0

    def __post_init__(self):
        require_name(self)
        require_count(self, steps=1, records=1, seed=0)
        require(self.steps < 2**31, self, "steps", "must be below 2^31", self.steps)
        require(self.seed < 2**32, self, "seed", "must be below 2^32", self.seed)
        rule = f"must be a multiple of records, {self.records}"
        require(self.steps % self.records == 0, self, "steps", rule, self.steps)
        sizes = {len(start) for start in self.starts}
        require(len(sizes) == 1, self, "starts", "must be points of one dimension", self.starts)

    def but(self, **changes: Any) -> "Descent":
        """The same descent with some fields changed."""
        return dataclasses.replace(self, **changes)


@typed
@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a paper says of a descent, to stand beside ours."""

    descent: str
    text: str
    source: str


@typed
@dataclasses.dataclass(frozen=True, kw_only=True)
class Descents:
    """The descents of one table.

    Raises:
      BadInput: for two descents of one name, or a published outcome of none.
    """

    runs: tuple[Descent, ...]
    published: tuple[Outcome, ...] = ()

    def __post_init__(self):
        names = [run.name for run in self.runs]
        require(len(names) > 0, self, "runs", "must hold at least one descent", self.runs)
        require(len(set(names)) == len(names), self, "runs", "must have different names", names)
        for outcome in self.published:
            known = outcome.descent in names
            require(known, self, "published", "must name descents", outcome.descent)
