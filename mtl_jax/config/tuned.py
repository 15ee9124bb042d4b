"""Rows whose settings are searched on validation data, each with the same budget."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mtl_jax.config.replace import NoSuchField, Replaceable, replace_at
from mtl_jax.config.run import Run
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import BadInput, require, require_int, require_name, require_number

MOST_TRIALS = 1000


@typechecked
@dataclasses.dataclass(frozen=True)
class Uniform:
    """Values that are drawn uniformly from an interval.

    Attributes:
      low: the lower end.
      high: the upper end.

    Raises:
      BadInput: unless `low < high`.
    """

    low: float
    high: float

    def __post_init__(self):
        require_number(self, low=(-math.inf, math.inf), high=(-math.inf, math.inf))
        require(self.low < self.high, self, "high", f"must be above {self.low}", self.high)

    def quantile(self, u: float) -> float:
        """The value below which a fraction of the values lies."""
        return self.low + u * (self.high - self.low)


@typechecked
@dataclasses.dataclass(frozen=True)
class LogUniform:
    """Values whose logarithm is drawn uniformly, for learning rates and the like.

    Attributes:
      low: the lower end, positive.
      high: the upper end.

    Raises:
      BadInput: unless `0 < low < high`.
    """

    low: float
    high: float

    def __post_init__(self):
        require_number(self, low=(-math.inf, math.inf), high=(-math.inf, math.inf))
        require(self.low > 0, self, "low", "must be positive", self.low)
        require(self.low < self.high, self, "high", f"must be above {self.low}", self.high)

    def quantile(self, u: float) -> float:
        """The value below which a fraction of the values lies."""
        return self.low * (self.high / self.low) ** u


Values = tuple | Uniform | LogUniform


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class Tuned(Replaceable):
    """A row that is the best of several trials on validation data.

    Each trial is a run with all seeds of `run`. The best has the best mean over seeds of what
    selects its evaluations, the mean validation metric or the mean rank among the trials; a trial
    that diverged is the worst, and test data decide nothing. The table shows the best trial, its
    values in its name, and the number of trials. Trials that differ in numbers only train as one
    program.

    Attributes:
      name: name of the row; a trial's name has the values too.
      run: the run of which settings are searched.
      over: what is searched, by field: `{"optimizer.learning_rate": (0.01, 0.1)}`, inner fields
        and items of tuples after a dot, as for `--set`. A tuple holds values, of which all
        combinations are tried; `Uniform` and `LogUniform` are drawn from.
      budget: number of trials; None for all combinations. Fewer are a random subset. With a
        distribution, they are a scrambled Halton sequence, whose first trials stay the same if the
        budget grows; values have three digits.
      metric: task and metric that choose, as in `"left/accuracy"`; None for all selecting tasks.
      seed: seed of the subset or sequence.

    Raises:
      BadInput: for an unknown field, a value that the field does not take, or a wrong budget.

    Example, given runs `HARD` and `PCGRAD`:
      RATES = {"optimizer.learning_rate": LogUniform(1e-4, 1e-1)}
      SUMS = {"balance": weighting.simplex_weights(2, 8)}
      EXPERIMENT = Experiment(
          runs=(HARD,),
          tuned=(
              *tune((HARD, PCGRAD), RATES, budget=8),
              Tuned(name="weighted sum", run=HARD, over=SUMS),
          ),
      )
    """

    name: str
    run: Run
    over: Mapping[str, Values]
    budget: int | None = None
    metric: str | None = None
    seed: int = 0

    def __post_init__(self):
        require_name(self)
        require_int(self, seed=0)
        require(len(self.over) > 0, self, "over", "must name at least one field", self.over)
        for field, values in self.over.items():
            rule = f"must hold different values for {field!r}"
            require(is_search(values), self, "over", rule, values)
        self.check_budget()
        known = [f"{task.name}/{metric.name}" for task in self.run.tasks for metric in task.metrics]
        rule = f"must be one of {known}"
        require(self.metric is None or self.metric in known, self, "metric", rule, self.metric)
        try:
            names = [trial.name for trial in self.trials]
        except NoSuchField as error:
            raise BadInput(f"Tuned.over: {error}") from None
        require(len(set(names)) == len(names), self, "over", "must have different trials", names)

    def check_budget(self) -> None:
        """Requires a budget that is given where values are drawn, and no larger than the grid."""
        drawn = [field for field, values in self.over.items() if not isinstance(values, tuple)]
        rule = f"must be given, since {', '.join(drawn)} is drawn"
        require(self.budget is not None or not drawn, self, "budget", rule, self.budget)
        most = MOST_TRIALS if drawn else min(len(self.grid), MOST_TRIALS)
        count = most + (len(self.grid) > MOST_TRIALS) if self.budget is None else self.budget
        rule = f"must be from 1 to {most}, the number of combinations there may be"
        require(1 <= count <= most, self, "budget", rule, self.budget)

    @property
    def grid(self) -> list[tuple]:
        """All combinations of the values that tuples hold."""
        return list(itertools.product(*(v for v in self.over.values() if isinstance(v, tuple))))

    @functools.cached_property
    def trials(self) -> tuple[Run, ...]:
        """The runs that are compared."""
        return tuple(self.make_trial(values) for values in self.settings)

    def make_trial(self, values: Iterable[Any]) -> Run:
        """The run with a value for each searched field."""
        run, texts = self.run, []
        for field, value in zip(self.over, values, strict=True):
            run = replace_at(run, field.split("."), lambda *_, value=value: value)
            texts.append(f"{field.rpartition('optimizer.')[2]}={value!r}")
        return run.replace(name=f"{self.name}, {', '.join(texts)}")

    @functools.cached_property
    def settings(self) -> list[tuple]:
        """The values of each trial, in the order of the fields."""
        generator = np.random.default_rng(self.seed)
        if all(isinstance(values, tuple) for values in self.over.values()):
            size = len(self.grid)
            chosen = generator.permutation(size)[: self.budget or size]
            return [self.grid[place] for place in sorted(chosen)]
        from scipy.stats import qmc  # Takes long to import.

        assert self.budget is not None  # Values are drawn.
        points = qmc.Halton(len(self.over), rng=generator).random(self.budget)
        kinds = list(self.over.values())
        return [tuple(map(value_at, kinds, point)) for point in points.tolist()]


def tune(
    runs: Iterable[Run], over: Mapping[str, Values], budget: int | None = None, seed: int = 0
) -> tuple[Tuned, ...]:
    """Rows that tune runs alike, with one budget: `tuned=tune(RUNS, {...}, budget=8)`."""
    return tuple(
        Tuned(name=f"{run.name} tuned", run=run, over=over, budget=budget, seed=seed)
        for run in runs
    )


def is_search(values: Values) -> bool:
    """Whether this is a distribution, or holds different values."""
    return not isinstance(values, tuple) or len(values) == len(set(map(repr, values))) > 0


def value_at(values: Values, u: float) -> Any:
    """The value at a quantile in [0, 1), rounded to three digits if it is drawn."""
    if isinstance(values, tuple):
        return values[int(u * len(values))]
    return float(f"{values.quantile(u):.3g}")
