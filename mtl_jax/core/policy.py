"""Base classes of augmentation policies."""

import abc

import jax

from mtl_jax.core.default_property import default_property
from mtl_jax.core.tree import Tree


class Policy(abc.ABC):
    """A random augmentation of one example; the caller vmaps it."""

    @default_property
    def has_branches(self) -> bool:
        """Whether each example takes one of several branches; False by default.

        `apply_batched` then computes only the branches taken, where `jax.vmap` computes all.
        """
        return False

    @abc.abstractmethod
    def __call__(self, key: jax.Array, image: jax.Array, /) -> jax.Array:
        """Maps an example to one of the same shape and range."""

    def apply_batched(self, keys: jax.Array, images: jax.Array, /) -> jax.Array:
        """Maps keys `[N]` and examples `[N, ...]` to augmented examples."""
        return jax.vmap(self)(keys, images)


class LearnablePolicy(abc.ABC):
    """An augmentation policy whose strength is learned from labelled examples."""

    @default_property
    def has_branches(self) -> bool:
        """Whether each example takes one of several branches; see `Policy.has_branches`."""
        return False

    @abc.abstractmethod
    def init(self) -> Tree:
        """Initial state."""

    @abc.abstractmethod
    def __call__(self, key: jax.Array, image: jax.Array, state: Tree, /) -> jax.Array:
        """Maps an example to one of the same shape and range."""

    def apply_batched(self, keys: jax.Array, images: jax.Array, state: Tree, /) -> jax.Array:
        """Maps keys `[N]` and examples `[N, ...]` to augmented examples."""
        return jax.vmap(self, in_axes=(0, 0, None))(keys, images, state)

    @abc.abstractmethod
    def probe(self, key: jax.Array, image: jax.Array, /) -> tuple[jax.Array, Tree]:
        """Maps an example to a randomly augmented one and the sampled choices."""

    @abc.abstractmethod
    def update(self, state: Tree, choices: Tree, scores: jax.Array, mask: jax.Array) -> Tree:
        """Next state, given the scores `[B]` in [0, 1] of the probes where `mask` is True."""
