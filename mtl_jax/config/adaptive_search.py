"""Searches in which the results of earlier trials lead to later ones."""

import dataclasses
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.config.search_space import LogUniform, Values, rounded
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import BadInput, require, require_int

NUM_ASKED = 20  # Proposals, of which some may have been tried already.


class Trial(NamedTuple):
    """What a trial of a tuned row tries.

    Attributes:
      values: the value of each searched field.
      steps: a smaller number of steps than that of the run; None for all.
    """

    values: tuple
    steps: int | None = None


class History(NamedTuple):
    """What has been tried of a tuned row, and how well it did.

    Attributes:
      trials: all trials so far, which are finished.
      ratings: their ratings `[T]`, higher is better; minus infinity if one failed.
      over: what is searched, by field.
      sequence: all values of a search that learns nothing.
      seed: the seed of the row.
    """

    trials: Sequence[Trial]
    ratings: np.ndarray
    over: Mapping[str, Values]
    sequence: Sequence[tuple]
    seed: int


class Search:
    """Base class of searches."""

    def check(self, size: int, steps: int) -> None:
        """Requires that the search suits a number of settings and of steps.

        Raises:
          BadInput: if it does not.
        """

    def first(self, sequence: Sequence[tuple], steps: int) -> list[Trial]:
        """The trials that do not depend on results.

        Args:
          sequence: all values of a search that learns nothing.
          steps: number of steps of the run.
        """
        raise NotImplementedError

    def following(self, history: History) -> list[Trial]:
        """The next trials, to be trained together; [] at the end."""
        raise NotImplementedError


@typechecked
@dataclasses.dataclass(frozen=True)
class TPE(Search):
    """The Tree-structured Parzen Estimator of Optuna, which proposes values like the best so far.

    Values that were tried already are not tried again. Needs the package optuna (extra `tune`).

    Attributes:
      startup: number of trials before the first proposal.
      batch: number of proposals at a time, which train together.

    Raises:
      BadInput: for numbers below 1, or without optuna.

    Reference: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011, sec. 4.
    """

    startup: int = 8
    batch: int = 4

    def __post_init__(self):
        require_int(self, startup=1, batch=1)
        if importlib.util.find_spec("optuna") is None:
            raise BadInput("TPE needs the package optuna: pip install mtl_jax[tune]")

    def check(self, size: int, steps: int) -> None:
        """Requires a budget of at least the first trials."""
        require(self.startup <= size, self, "startup", f"must be at most {size}", self.startup)

    def first(self, sequence: Sequence[tuple], steps: int) -> list[Trial]:
        """The first `startup` values of the sequence."""
        return [Trial(values) for values in sequence[: self.startup]]

    def following(self, history: History) -> list[Trial]:
        """The next proposals; values that were never tried where it proposes too few."""
        count = min(self.batch, len(history.sequence) - len(history.trials))
        tried = [trial.values for trial in history.trials]
        proposals = propose(tried, history) if count > 0 else []
        found: list[tuple] = []
        for values in (*proposals, *history.sequence):
            if len(found) < count and values not in (*tried, *found):
                found.append(values)
        return [Trial(values) for values in found]


@typechecked
@dataclasses.dataclass(frozen=True)
class Halving(Search):
    """Successive halving: all settings are tried for a few steps, the best for more, and so on.

    Of n settings and T steps, with factor eta and R rungs before the last,
    `max(1, floor(n / eta^r))` settings are trained for `eta^r floor(T / eta^R)` steps on rung r,
    each anew, so that schedules end. Only those of the last rung, with T steps, can be chosen.

    Attributes:
      factor: eta, how many times fewer settings and more steps each rung has.
      rungs: R.

    Raises:
      BadInput: for a factor below 2, or no rung.

    Reference: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
      Optimization", AISTATS 2016, algorithm 1.
    """

    factor: int = 3
    rungs: int = 1

    def __post_init__(self):
        require_int(self, factor=2, rungs=1)

    def check(self, size: int, steps: int) -> None:
        """Requires settings and steps for every rung."""
        least = self.factor**self.rungs
        rule = f"of rungs needs as many settings and steps, {least}, not {size} and {steps}"
        require(min(size, steps) >= least, self, "factor", f"to the power {rule}", self.factor)

    def first(self, sequence: Sequence[tuple], steps: int) -> list[Trial]:
        """The whole sequence, for the fewest steps."""
        return [Trial(values, steps // self.factor**self.rungs) for values in sequence]

    def following(self, history: History) -> list[Trial]:
        """The best of the last rung, for more steps."""
        trials = history.trials
        last = trials[-1].steps
        if last is None:
            return []
        rung = len({trial.steps for trial in trials})
        current = [place for place, trial in enumerate(trials) if trial.steps == last]
        count = max(1, len(history.sequence) // self.factor**rung)
        order = np.argsort(-history.ratings[current], kind="stable")[:count]
        steps = None if rung == self.rungs else trials[0].steps * self.factor**rung
        return [Trial(trials[current[place]].values, steps) for place in sorted(order)]


def propose(tried: Sequence[tuple], history: History) -> list[tuple]:
    """Proposals of Optuna, after trials of some values."""
    import optuna  # An optional package.

    over, seed = history.over, history.seed + len(tried)
    spaces = {field: distribution(values) for field, values in over.items()}
    order = np.argsort(np.argsort(history.ratings, kind="stable"))  # The worst is 0.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, constant_liar=True)
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for values, rank in zip(tried, order.tolist(), strict=True):
            own = {f: parameter(over[f], v) for f, v in zip(over, values, strict=True)}
            study.add_trial(
                optuna.trial.create_trial(params=own, distributions=spaces, value=float(rank))
            )
        asked = [study.ask(spaces).params for _ in range(NUM_ASKED)]
    finally:
        optuna.logging.set_verbosity(before)
    return [tuple(value_of(over[field], own[field]) for field in over) for own in asked]


def distribution(values: Values) -> Any:
    """The distribution of Optuna for some values; of a tuple, that of places in it."""
    import optuna  # An optional package.

    if isinstance(values, tuple):
        return optuna.distributions.CategoricalDistribution(range(len(values)))
    is_log = isinstance(values, LogUniform)
    return optuna.distributions.FloatDistribution(values.low, values.high, log=is_log)


def parameter(values: Values, value: Any) -> Any:
    """The parameter of Optuna for a value."""
    if isinstance(values, tuple):
        return values.index(value)
    return min(max(value, values.low), values.high)  # It was rounded.


def value_of(values: Values, found: Any) -> Any:
    """The value for a parameter of Optuna."""
    return values[found] if isinstance(values, tuple) else rounded(found)
