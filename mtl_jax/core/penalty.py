"""Base classes of regularizers: penalties, and non-smooth proximal terms."""

import abc
from typing import Protocol, runtime_checkable

import jax

from mtl_jax.core.tree import Tree


@runtime_checkable
class Penalty(Protocol):
    """A regularization term added to the losses, without balancing."""

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps the parameters and those of the source model to a scalar."""


class Proximal(abc.ABC):
    """A non-smooth term, minimised by a proximal step after the optimizer's step."""

    @abc.abstractmethod
    def prox(self, params: Tree, rate: jax.Array) -> Tree:
        """Applies the proximal operator to the parameters, with learning rate `[]`."""
