"""Values that are searched: lists of them, and distributions."""

import dataclasses
import math
from typing import Any

from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_number


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


def is_search(values: Values) -> bool:
    """Whether this is a distribution, or holds different values."""
    return not isinstance(values, tuple) or len(values) == len(set(map(repr, values))) > 0


def value_at(values: Values, u: float) -> Any:
    """The value at a quantile in [0, 1), rounded to three digits if it is drawn."""
    if isinstance(values, tuple):
        return values[int(u * len(values))]
    return rounded(values.quantile(u))


def rounded(value: float) -> float:
    """A drawn value with three digits."""
    return float(f"{value:.3g}")
