"""Rows whose settings are searched on validation data, each with the same budget."""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Mapping

import numpy as np

from mtl_jax.config.adaptive_search import History, Search, Trial
from mtl_jax.config.replace import NoSuchField, Replaceable, replace_at
from mtl_jax.config.run import Run
from mtl_jax.config.search_space import Values, is_search, value_at
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import BadInput, require, require_int, require_name

MOST_TRIALS = 1000


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
      search: how earlier results lead to later trials, `TPE()` or `Halving()`; None if they do not.
      metric: task and metric that choose, as in `"left/accuracy"`; None for all selecting tasks.
      seed: seed of the subset, the sequence and the search.
      later: the trials that results have led to, which a launch sets.

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
              Tuned(name="proposed", run=HARD, over=RATES, budget=16, search=TPE()),
          ),
      )
    """

    name: str
    run: Run
    over: Mapping[str, Values]
    budget: int | None = None
    search: Search | None = None
    metric: str | None = None
    seed: int = 0
    later: tuple[Trial, ...] = ()

    def __post_init__(self):
        require_name(self)
        require_int(self, seed=0)
        require(len(self.over) > 0, self, "over", "must name at least one field", self.over)
        for field, values in self.over.items():
            rule = f"must be a tuple, Uniform or LogUniform for {field!r}"
            require(isinstance(values, Values), self, "over", rule, values)
            rule = f"must hold different values for {field!r}"
            require(is_search(values), self, "over", rule, values)
        self.check_budget()
        if self.search is not None:
            self.search.check(self.size, self.run.steps)
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

    @property
    def size(self) -> int:
        """Number of settings that are tried in the end."""
        return self.budget or len(self.grid)

    @functools.cached_property
    def trials(self) -> tuple[Run, ...]:
        """The runs so far; all of them, unless results lead to more."""
        return tuple(map(self.make_trial, self.settings))

    @property
    def finalists(self) -> list[Run]:
        """The trials that are compared, those of all steps."""
        return [
            run for run, own in zip(self.trials, self.settings, strict=True) if own.steps is None
        ]

    def make_trial(self, trial: Trial) -> Run:
        """The run with a value for each searched field."""
        run, texts = self.run, []
        for field, value in zip(self.over, trial.values, strict=True):
            run = replace_at(run, field.split("."), lambda *_, value=value: value)
            texts.append(f"{field.rpartition('optimizer.')[2]}={value!r}")
        if trial.steps is not None:
            every = {
                name: min(getattr(run.evaluation, name), trial.steps)
                for name in ("every", "checkpoint_every")
            }
            run = run.replace(steps=trial.steps, evaluation=every)
            texts.append(f"{trial.steps} steps")
        return run.replace(name=f"{self.name}, {', '.join(texts)}")

    @functools.cached_property
    def settings(self) -> list[Trial]:
        """The trials so far."""
        if self.search is None:
            return [Trial(values) for values in self.sequence]
        return [*self.search.first(self.sequence, self.run.steps), *self.later]

    def history(self, ratings: np.ndarray) -> History:
        """What the search knows, from the ratings `[T]` of the trials so far."""
        return History(self.settings, ratings, self.over, self.sequence, self.seed)

    @functools.cached_property
    def sequence(self) -> list[tuple]:
        """As many values, in the order of the fields, as do not depend on results."""
        generator = np.random.default_rng(self.seed)
        if all(isinstance(values, tuple) for values in self.over.values()):
            chosen = generator.permutation(len(self.grid))[: self.size]
            order = chosen if self.search is not None else sorted(chosen)
            return [self.grid[place] for place in order]
        from scipy.stats import qmc  # Takes long to import.

        points = qmc.Halton(len(self.over), rng=generator).random(self.size)
        kinds = list(self.over.values())
        return [tuple(map(value_at, kinds, point)) for point in points.tolist()]


def tune(
    runs: Iterable[Run],
    over: Mapping[str, Values],
    budget: int | None = None,
    search: Search | None = None,
    seed: int = 0,
) -> tuple[Tuned, ...]:
    """Rows that tune runs alike, with one budget: `tuned=tune(RUNS, {...}, budget=8)`."""
    return tuple(
        Tuned(name=f"{run.name} tuned", run=run, over=over, budget=budget, search=search, seed=seed)
        for run in runs
    )
