"""Base class of auxiliary losses: semi-supervised, transfer and domain-adaptation methods."""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax

from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.default_property import default_property
from mtl_jax.core.head_specs import AuxHead, AuxMLP
from mtl_jax.core.source_context import SourceContext
from mtl_jax.core.target_types import ALL_TYPES, TargetType
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require
from mtl_jax.core.views import View


class AuxUpdate(NamedTuple):
    """Result of an auxiliary loss's update."""

    loss: jax.Array  # [n], per example
    state: Tree
    metrics: dict[str, jax.Array]  # [] each, for the log


class AuxiliaryLoss(abc.ABC):
    """A loss of one task in addition to its labelled loss, `weight * mean_n update(...)`.

    A method is a frozen dataclass that extends this class and defines `views` and `update`;
    everything else has a default. The properties below may be defined as fields or class
    attributes.
    """

    @default_property
    def weight(self) -> float:
        """Weight of the loss, 1 by default."""
        return 1.0

    @default_property
    def views(self) -> tuple[View, ...]:
        """Requested views, none by default."""
        return ()

    @default_property
    def target_types(self) -> tuple[TargetType, ...]:
        """Supported target types, all by default."""
        return ALL_TYPES

    @default_property
    def needs_feature_maps(self) -> bool:
        """Whether it uses outputs of single layers, `AuxInputs.feature_maps`."""
        return False

    @default_property
    def needs_two_branches(self) -> bool:
        """Whether it requires a trunk of two branches (`nets.TwoBranch`)."""
        return False

    @default_property
    def per_position(self) -> bool:
        """Whether its examples are the pixels or tokens of a dense task, not whole examples.

        In place of padding the tokens of an example are repeated, in turn.
        """
        return True

    @default_property
    def source_heads(self) -> tuple[str, ...]:
        """Names of its heads that are initialized from heads of the source model."""
        return ()

    @property
    def has_labelled_loss(self) -> bool:
        """Whether it defines `labelled_loss`; if not, the view "labelled" is requested too."""
        return type(self).labelled_loss is not AuxiliaryLoss.labelled_loss

    @property
    def has_precompute(self) -> bool:
        """Whether `precompute` is called once, before the first step, with the source model."""
        return type(self).precompute is not AuxiliaryLoss.precompute

    def aux_heads(self, num_classes: int) -> Mapping[str, AuxHead | AuxMLP]:
        """Auxiliary heads by name, for a task with C outputs."""
        return {}

    def init(self, sizes: DatasetSizes) -> Tree:
        """Initial state, of fixed shapes."""
        return ()

    @abc.abstractmethod
    def update(self, views: AuxInputs, state: Tree) -> AuxUpdate:
        """Maps inputs to a loss per example `[n]`, the next state, and metrics `[]`."""

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Tree) -> jax.Array:
        """Loss `[]` of the labelled examples; called only if `has_labelled_loss`."""
        raise NotImplementedError

    def precompute(self, source: SourceContext) -> Tree:
        """Computes `AuxInputs.precomputed` once; called only if `has_precompute`."""
        return ()


@dataclasses.dataclass(frozen=True)
class AuxiliaryWrapper(AuxiliaryLoss):
    """Wraps another auxiliary loss, `method`, and forwards to it all that it does not define."""

    method: AuxiliaryLoss

    @property
    def weight(self) -> float:
        """Weight of the wrapped loss."""
        return self.method.weight

    @property
    def views(self) -> tuple[View, ...]:
        """Views requested by the wrapped loss."""
        return self.method.views

    @property
    def target_types(self) -> tuple[TargetType, ...]:
        """Target types supported by the wrapped loss."""
        return self.method.target_types

    @property
    def has_labelled_loss(self) -> bool:
        """Whether this class or the wrapped loss defines a labelled loss."""
        own = type(self).labelled_loss is not AuxiliaryWrapper.labelled_loss
        return own or self.method.has_labelled_loss

    @property
    def has_precompute(self) -> bool:
        """Whether the wrapped loss defines `precompute`."""
        return self.method.has_precompute

    @property
    def needs_feature_maps(self) -> bool:
        """Whether the wrapped loss uses outputs of single layers."""
        return self.method.needs_feature_maps

    @property
    def needs_two_branches(self) -> bool:
        """Whether the wrapped loss requires two branches."""
        return self.method.needs_two_branches

    @property
    def per_position(self) -> bool:
        """Whether the wrapped loss takes pixels or tokens as examples."""
        return self.method.per_position

    @property
    def source_heads(self) -> tuple[str, ...]:
        """Heads of the wrapped loss that are initialized from the source model."""
        return self.method.source_heads

    def aux_heads(self, num_classes: int) -> Mapping[str, AuxHead | AuxMLP]:
        """Auxiliary heads of the wrapped loss."""
        return self.method.aux_heads(num_classes)

    def init(self, sizes: DatasetSizes) -> Tree:
        """Initial state of the wrapped loss."""
        return self.method.init(sizes)

    def update(self, views: AuxInputs, state: Tree) -> AuxUpdate:
        """Update of the wrapped loss."""
        return self.method.update(views, state)

    def labelled_loss(self, views: AuxInputs, loss: Callable, state: Tree) -> jax.Array:
        """Labelled loss of the wrapped loss."""
        return self.method.labelled_loss(views, loss, state)

    def precompute(self, source: SourceContext) -> Tree:
        """Result of the wrapped loss's `precompute`."""
        return self.method.precompute(source)


def require_method(owner: AuxiliaryWrapper) -> None:
    """Requires that the wrapped method is an `AuxiliaryLoss`."""
    fine = isinstance(owner.method, AuxiliaryLoss)
    require(fine, owner, "method", "must be an AuxiliaryLoss", owner.method)
