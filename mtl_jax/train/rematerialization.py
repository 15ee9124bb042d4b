"""A model whose backward passes compute the activations inside of its blocks again."""

from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn

from mtl_jax.core.model import Model
from mtl_jax.core.tree import Tree

Path = tuple[str, ...]


def with_remat(model: Model) -> Model:
    """The model with rematerialization of its blocks in training.

    A block is an outermost module with a layer in it, below the trunk or head itself: a residual
    block, or a layer of a transformer. A forward pass keeps its inputs, and a backward pass
    computes what is inside it again.
    """
    return model._replace(encode=rematerialize(model.encode), decode=rematerialize(model.decode))


def rematerialize(function: Callable[..., tuple[Any, Tree]]) -> Callable[..., tuple[Any, Tree]]:
    """A function `(params, stats, x) -> (y, stats)` with rematerialization in training."""

    def apply(params: Tree, stats: Tree, x: Any, *, train: bool, **options: Any):
        if not train:
            return function(params, stats, x, train=False, **options)
        with nn.intercept_methods(Rematerializer(set(block_paths(params)))):
            return function(params, stats, x, train=True, **options)

    return apply


def block_paths(params: Tree, path: Path = ()) -> Iterator[Path]:
    """Paths of the blocks in parameters, in which layers hold arrays and modules hold layers.

    Every suffix of a path is among them, since trunks and heads are parts of the parameters.
    """
    inner = {name: child for name, child in params.items() if isinstance(child, dict)}
    has_layers = any(not isinstance(leaf, dict) for c in inner.values() for leaf in c.values())
    if has_layers and len(inner) > 1 and path:
        yield from (path[start:] for start in range(len(path)))
    for name, child in inner.items():
        yield from block_paths(child, (*path, name))


class Rematerializer:
    """A Linen interceptor that rematerializes modules at some paths.

    Attributes:
      paths: their paths.
      inside: whether a call is inside of one.
    """

    def __init__(self, paths: set[Path]):
        self.paths, self.inside = paths, False

    def __call__(self, call: Callable, args: tuple, kwargs: dict, context: Any) -> Any:
        """Calls a method of a module, by `nn.remat` if it is a block's."""
        module = context.module
        if self.inside or context.method_name != "__call__" or module.path not in self.paths:
            return call(*args, **kwargs)
        self.inside = True
        try:
            return nn.remat(lambda block, *inputs: block(*inputs, **kwargs))(module, *args)
        finally:
            self.inside = False
