"""Base classes of the methods that balance tasks: loss weightings and gradient aggregators.

family               input                                backward passes per step
LossWeighting        losses [K]                           1
BilevelWeighting     held-out losses as a function of w   1, plus those of its outer losses
GramWeighting        Gram matrix of K gradients [K, K]    K
CrossGramWeighting   Gram matrix of two other batches     1 + 2 K
JacobianAggregator   K gradients                          K, all in memory
"""

import abc
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeGuard

import jax

from mtl_jax.core.default_property import default_property
from mtl_jax.core.tree import Tree

Access = Literal["losses", "heldout_losses", "gramian", "cross_gramian", "jacobian"]


class Balancer:
    """Balances K tasks; a method extends one of the five families below.

    `pre_step` is called before the tasks are weighted, `post_step` after the update. `post_step`
    receives the losses of the new parameters on the same batch; methods that define it take one
    more forward pass per step.
    """

    @default_property
    def access(self) -> Access:
        """What it weights or combines; defined by its family."""
        raise NotImplementedError(f"{type(self).__name__} defines no access")

    @property
    def uses_post_step(self) -> bool:
        """Whether it defines `post_step`, which takes one more forward pass per step."""
        return type(self).post_step is not Balancer.post_step

    @property
    def needs_task_gradients(self) -> bool:
        """Whether it needs the gradient of every task, with K backward passes."""
        return self.access not in ("losses", "heldout_losses")

    @property
    def inner(self) -> "Balancer":
        """The method that weighs or combines: this one, unless it only perturbs for another."""
        return self

    def init(self, num_tasks: int) -> Tree:
        """Initial state."""
        return ()

    def perturb(self, pullback: Any, key: jax.Array) -> Any:
        """The pullbacks (`mtl_jax.aggregation.balance.TaskPullback`) that are balanced.

        Those of the losses at the parameters of the step, unless a method takes others.
        """
        return pullback

    def pre_step(self, losses: jax.Array, state: Tree) -> Tree:
        """Next state, given the losses `[K]` of this step, before tasks are weighted."""
        return state

    def post_step(self, losses: jax.Array, state: Tree) -> Tree:
        """Next state, given the losses `[K]` of the new parameters."""
        return state


class BalancerWrapper(Balancer):
    """A method around another one, to whose family it belongs."""

    @default_property
    def method(self) -> Balancer:
        """The wrapped method, a field."""
        raise NotImplementedError(f"{type(self).__name__} wraps no method")

    @property
    def access(self) -> Access:
        """The inputs that the wrapped method accesses."""
        return self.method.access

    @property
    def uses_post_step(self) -> bool:
        """Whether the wrapped method uses the losses after the step."""
        return self.method.uses_post_step


class LossWeighting(Balancer, abc.ABC):
    """Balances tasks by their losses, with one backward pass."""

    access: Access = "losses"

    @abc.abstractmethod
    def weigh_losses(
        self, losses: jax.Array, state: Tree, key: jax.Array
    ) -> tuple[jax.Array, Tree]:
        """Maps losses `[K]` to weights `[K]` and the next state."""


class GramWeighting(Balancer, abc.ABC):
    """Balances tasks by the inner products of their gradients, with K backward passes."""

    access: Access = "gramian"

    @abc.abstractmethod
    def weigh_gram(self, gram: jax.Array, state: Tree, key: jax.Array) -> tuple[jax.Array, Tree]:
        """Maps the Gram matrix `[K, K]` to weights `[K]` and the next state."""


class BilevelWeighting(Balancer, abc.ABC):
    """Balances tasks by the held-out losses after a step with given weights."""

    access: Access = "heldout_losses"

    @default_property
    def held_out(self) -> float:
        """Fraction of the labelled examples that are held out, 0.2 by default."""
        return 0.2

    @abc.abstractmethod
    def weigh_outer(
        self, outer: Callable[[jax.Array], jax.Array], state: Tree, key: jax.Array
    ) -> tuple[jax.Array, Tree]:
        """Maps a function, weights `[K]` -> held-out losses `[K]`, to weights, next state."""


class CrossGramWeighting(Balancer, abc.ABC):
    """Balances tasks by the gradients of two batches; the update uses a third batch."""

    access: Access = "cross_gramian"

    @abc.abstractmethod
    def weigh_cross(self, cross: jax.Array, state: Tree, key: jax.Array) -> tuple[jax.Array, Tree]:
        """Maps `A_ij = <g_i, h_j>` `[K, K]` to weights `[K]` and the next state."""


class BalancedGradient(NamedTuple):
    """One gradient of K tasks, the weights it was computed with, and the method's next state."""

    gradient: Tree
    weights: jax.Array  # [K]
    state: Tree


class JacobianAggregator(Balancer, abc.ABC):
    """Balances tasks by their gradients, with K backward passes, all in memory."""

    access: Access = "jacobian"

    def init(self, num_tasks: int, shared: Tree = None) -> Tree:
        """Initial state, given the parameters that gradients are with respect to."""
        return ()

    @abc.abstractmethod
    def combine(self, jacobian: Tree, state: Tree, key: jax.Array) -> BalancedGradient:
        """Maps gradients (leaves `[K, ...]`) to one gradient, task weights `[K]`, next state."""


# `access`, not the class, determines the family: a wrapper has the access of its method.


def weighs_losses(method: Balancer) -> TypeGuard[LossWeighting]:
    """Whether a method defines `weigh_losses`."""
    return method.access == "losses"


def weighs_outer(method: Balancer) -> TypeGuard[BilevelWeighting]:
    """Whether a method defines `weigh_outer`."""
    return method.access == "heldout_losses"


def weighs_gram(method: Balancer) -> TypeGuard[GramWeighting]:
    """Whether a method defines `weigh_gram`."""
    return method.access == "gramian"


def weighs_cross(method: Balancer) -> TypeGuard[CrossGramWeighting]:
    """Whether a method defines `weigh_cross`."""
    return method.access == "cross_gramian"


def combines_jacobian(method: Balancer) -> TypeGuard[JacobianAggregator]:
    """Whether a method defines `combine`."""
    return method.access == "jacobian"
