"""How the devices of a launch are arranged: the axes of a mesh, and what is sharded over them."""

import dataclasses
from typing import Self

from mtl_jax.config.option_values import option_values
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import BadInput, require_int, require_pattern

AXES = ("seed", "batch", "model")


@typechecked
@dataclasses.dataclass(frozen=True)
class PartitionRule:
    """Along which dimension the parameters are sharded whose whole path matches a pattern.

    Attributes:
      pattern: a regular expression over paths such as `shared/Dense_0/kernel`.
      dimension: the dimension, 0 being the first of one seed's parameter, whose size the model
        axis must divide; None replicates the parameter.

    Raises:
      BadInput: for an invalid regular expression, or a negative dimension.
    """

    pattern: str
    dimension: int | None

    def __post_init__(self):
        require_pattern(self, "pattern", self.pattern)
        if self.dimension is not None:
            require_int(self, dimension=0)


@typechecked
@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceMesh:
    """The arrangement of all devices of a launch; results do not depend on it (up to rounding).

    Seeds are sharded over the first axis, the examples of each batch over the second, and large
    parameters over the third, along their largest dimension that the axis divides (the last of
    several equal ones). Everything else of the state that has the path and the shape of a
    parameter is sharded like it: its average, the moments of the optimizer, the gradients of K
    tasks `[K, ...]` that a balancing method keeps, and a second model. XLA's partitioner adds the
    communication.

    Attributes:
      seed: number of devices along the axis "seed", which must divide the seeds; only seeds that
        are vmapped can be sharded.
      batch: number of devices along the axis "batch", which must divide the batch size.
      model: number of devices along the axis "model".
      min_size: number of elements of the smallest parameter that is sharded; smaller ones are
        replicated, since their communication would cost more than the memory they save.
      rules: ordered exceptions; a parameter takes the first that matches, whatever its size. Each
        must match a parameter of every run that trains: alternatives are written with `|`.

    Raises:
      BadInput: for an axis with less than one device.
    """

    seed: int = 1
    batch: int = 1
    model: int = 1
    min_size: int = 2**16
    rules: tuple[PartitionRule, ...] = ()

    def __post_init__(self):
        require_int(self, **dict.fromkeys((*AXES, "min_size"), 1))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of devices along the axes "seed", "batch" and "model"."""
        return self.seed, self.batch, self.model

    def with_axes(self, text: str) -> Self:
        """The mesh with the axes of a text such as `seed=2,batch=4`; other axes have size 1.

        Raises:
          BadInput: for an unknown or repeated axis, or a size that is no integer of at least 1.
        """
        values = option_values("--mesh", text, AXES, "is no axis")
        for name, size in values.items():
            if not size.isdecimal() or int(size) < 1:
                raise BadInput(f"--mesh {name}: must be an integer of at least 1, not {size!r}")
        sizes = {name: int(size) for name, size in values.items()}
        return dataclasses.replace(self, **{**dict.fromkeys(AXES, 1), **sizes})
