"""Base classes of trunks."""

from typing import Any

from mtl_jax.core.default_property import default_property
from mtl_jax.core.tree import Tree


class Trunk:
    """A trunk `(x [N, ...], train) -> features [N, D]`; a Flax module extends this class.

    A user-defined Flax module needs no base class: it has these defaults (`traits`).

    Attributes:
      is_multitask: whether it has a field `tasks` and returns `{task: features}`.
      has_two_branches: whether it returns the features of two branches (`nets.TwoBranch`).
      adds_params: whether it adds parameters to those of `base_trunk`, by `init_params`, and
        `merge`s them.
    """

    is_multitask = False
    has_two_branches = False
    adds_params = False

    @default_property
    def inner_trunks(self) -> tuple[str, ...]:
        """Names of the fields that hold the trunks it is made of."""
        return ()

    @default_property
    def base_trunk(self) -> object | None:
        """The wrapped trunk, or None."""
        return None

    @default_property
    def preprocessing(self) -> Any:
        """Preprocessing of the images before the wrapped trunk, or None."""
        return None

    @default_property
    def new_params(self) -> tuple[str, ...]:
        """Patterns of parameters that a source model without this wrapper does not have."""
        return ()

    @property
    def convolutional(self) -> bool:
        """Whether it has convolutions, which determines how steps are executed on CPU."""
        return any(traits(getattr(self, field)).convolutional for field in self.inner_trunks)


class MultitaskTrunk(Trunk):
    """A trunk with a field `tasks`, set to the names of the run's tasks."""

    is_multitask = True


class StagedTrunk(Trunk):
    """A trunk that is a sequence of stages followed by pooling."""

    def stages(self) -> tuple[Any, ...]:
        """Modules in order; their composition is the trunk up to `pool`."""
        raise NotImplementedError

    def pool(self, x: Any) -> Any:
        """Pools the last stage's output to features `[N, D]`."""
        raise NotImplementedError

    def blocks(self) -> tuple[Any, ...]:
        """The stages, split into blocks where they have blocks."""
        return self.stages()


class AddedParams(Trunk):
    """A trunk that adds parameters to those of another trunk."""

    adds_params = True

    def init_params(self, key: Any, params: Tree) -> Tree:
        """Initializes the added parameters, given those of the base trunk."""
        raise NotImplementedError

    def merge(self, params: Tree, extra: Tree) -> Tree:
        """Merges the added parameters into those of the base trunk."""
        raise NotImplementedError


class ResidualBlock:
    """A residual block, called with `keep`, the gate of its residual branch."""


class DividedStage:
    """A stage of blocks; with `before=True` it also returns the input of its last block."""

    has_blocks = True


PLAIN = Trunk()


def traits(trunk: Any) -> Trunk:
    """The trunk itself, or the defaults for a user-defined Flax module."""
    return trunk if isinstance(trunk, Trunk) else PLAIN
