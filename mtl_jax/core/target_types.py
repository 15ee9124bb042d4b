"""Target types of methods and metrics, in scikit-learn's terms."""

from typing import Literal, get_args

TargetType = Literal["multiclass", "binary", "multilabel", "continuous"]

ALL_TYPES: tuple[TargetType, ...] = get_args(TargetType)
MULTICLASS: tuple[TargetType, ...] = ("multiclass",)
CONTINUOUS: tuple[TargetType, ...] = ("continuous",)
