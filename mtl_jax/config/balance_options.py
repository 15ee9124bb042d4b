"""How what a balancing method says is applied, as data."""

import dataclasses
from typing import Literal

from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import require_choice


@typed
@dataclasses.dataclass(frozen=True)
class Weighing:
    """How what a balancing method says is applied; see `mtl_jax.aggregation.balance.balance`.

    Attributes:
      space: the gradients that aggregators see.
      heads: whether what belongs to a task is weighted too.
      scale: length of the step of the shared part.
    """

    space: Literal["parameters", "representation"] = "parameters"
    heads: Literal["paper", "own", "weighted"] = "paper"
    scale: Literal["paper", "sum", "mean", "unit", "equal"] = "paper"

    def __post_init__(self):
        require_choice(self, space=("parameters", "representation"))
        require_choice(self, heads=("paper", "own", "weighted"))
        require_choice(self, scale=("paper", "sum", "mean", "unit", "equal"))


AS_PUBLISHED = Weighing()
