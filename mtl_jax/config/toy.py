"""Configuration of toy runs: balancing methods on low-dimensional problems."""

import dataclasses
from typing import Protocol, runtime_checkable

import jax

from mtl_jax.config.replace import Replaceable
from mtl_jax.core.balancing import Balancer as Balance
from mtl_jax.core.optimizer import Optimizer
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_int, require_name


@runtime_checkable
class ToyProblem(Protocol):
    """Multi-objective problem with a known distance to its Pareto set."""

    plot_limits: tuple[tuple[float, float], ...]  # Axis limits of figures by coordinate, [D, 2].

    def losses(self, point: jax.Array) -> jax.Array:
        """Maps a point `[D]` to losses `[K]`."""

    def distance_to_pareto(self, point: jax.Array) -> jax.Array:
        """Maps a point `[D]` to its distance from the Pareto set `[]`, in parameter space."""


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyRun(Replaceable):
    """Configuration of one table row: a balancing method on a toy problem.

    Attributes:
      name: name of the row and of its output folder.
      problem: the problem to minimise.
      balance: a loss weighting or a gradient aggregator.
      optimizer: an optimizer of `mtl_jax.config.optimizers`.
      steps: number of optimization steps.
      initial_points: points `[S, D]`, optimized in parallel.
      tolerance: distance below which a point counts as Pareto optimal.
      num_records: number of recorded points per trajectory, equally spaced in steps.
      seed: seed of stochastic methods.

    Raises:
      BadInput: for an invalid value.
    """

    name: str
    problem: ToyProblem
    balance: Balance
    optimizer: Optimizer
    steps: int
    initial_points: tuple[tuple[float, ...], ...]
    tolerance: float = 0.1
    num_records: int = 100
    seed: int = 0

    def __post_init__(self):
        require_name(self)
        require_int(self, steps=1, num_records=1, seed=0)
        rule = "must not need validation"
        require(not self.optimizer.observes_validation, self, "optimizer", rule, self.optimizer)
        require(self.steps < 2**31, self, "steps", "must be below 2^31", self.steps)
        require(self.seed < 2**32, self, "seed", "must be below 2^32", self.seed)
        rule = f"must be a multiple of num_records, {self.num_records}"
        require(self.steps % self.num_records == 0, self, "steps", rule, self.steps)
        sizes = {len(start) for start in self.initial_points}
        require(
            len(sizes) == 1,
            self,
            "initial_points",
            "must be points of one dimension",
            self.initial_points,
        )


@typechecked
@dataclasses.dataclass(frozen=True)
class PublishedOutcome:
    """A published outcome of a toy run, for comparison with ours."""

    run: str
    text: str
    source: str


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class ToyExperiment:
    """The toy runs of one table.

    Raises:
      BadInput: for duplicate names, or a published outcome of an unknown run.
    """

    runs: tuple[ToyRun, ...]
    published: tuple[PublishedOutcome, ...] = ()

    def __post_init__(self):
        names = [run.name for run in self.runs]
        require(len(names) > 0, self, "runs", "must hold at least one run", self.runs)
        require(len(set(names)) == len(names), self, "runs", "must have different names", names)
        for outcome in self.published:
            known = outcome.run in names
            require(known, self, "published", "must name runs", outcome.run)
