"""Options for applying the output of a balancing method."""

import dataclasses
from typing import Literal

from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require_choice


@typechecked
@dataclasses.dataclass(frozen=True)
class BalanceOptions:
    """How the output of a balancing method is applied; see `mtl_jax.aggregation.balance.balance`.

    Attributes:
      jacobian_wrt: whether aggregators receive gradients with respect to the shared parameters or
        the representation.
      head_gradients: whether the gradients of task-specific parameters are weighted too.
      rescale: scaling of the combined gradient of the shared parameters.
    """

    jacobian_wrt: Literal["parameters", "representation"] = "parameters"
    head_gradients: Literal["paper", "own", "weighted"] = "paper"
    rescale: Literal["paper", "sum", "mean", "unit", "equal"] = "paper"

    def __post_init__(self):
        require_choice(self, jacobian_wrt=("parameters", "representation"))
        require_choice(self, head_gradients=("paper", "own", "weighted"))
        require_choice(self, rescale=("paper", "sum", "mean", "unit", "equal"))


AS_PUBLISHED = BalanceOptions()
