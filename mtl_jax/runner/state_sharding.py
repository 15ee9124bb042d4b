"""Shardings of a run's state: large parameters, and what has their shapes, over the model axis."""

import math
import re
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.core.features import Shape
from mtl_jax.core.tree import Tree, leaves_by_path, path_str
from mtl_jax.core.validation import BadInput, did_you_mean, require

Leading = tuple[str | None, ...]  # Mesh axes of the leading dimensions, such as ("seed",).


def shard_like_params(
    mesh: Mesh, requested: DeviceMesh, tree: Tree, params: Tree, leading: Leading = ("seed",)
) -> Any:
    """Shardings of a tree's leaves, those of parameters and of what has their path and shape.

    A leaf is sharded over "model" like the parameter whose path (`shared/` excepted) ends its own,
    and whose shape ends its own. Others are sharded over their leading axes only.

    Args:
      mesh: the devices, with an axis "model".
      requested: which parameters are sharded.
      tree: the tree, of arrays or shapes, with leading axes.
      params: the parameters, with leading axes.
      leading: the mesh axes of the leading axes.

    Returns:
      The tree with a `NamedSharding` for each leaf; one for all of them if nothing is sharded.

    Raises:
      BadInput: for a rule that matches no parameter, or whose dimension cannot be divided.
    """
    by_leading = NamedSharding(mesh, PartitionSpec(*leading))
    if mesh.shape["model"] == 1:
        return by_leading
    shapes = {path: leaf.shape[len(leading) :] for path, leaf in leaves_by_path(params).items()}
    dimensions = partition_dimensions(requested, shapes, mesh.shape["model"])
    paths = {path: path.removeprefix("shared/") for path in shapes}

    def shard(path: tuple, leaf: Any) -> NamedSharding:
        parameter = parameter_of(path_str(path), leaf.shape[len(leading) :], shapes, paths)
        dimension = None if parameter is None else dimensions[parameter]
        if parameter is None or dimension is None:
            return by_leading
        before = len(leaf.shape) - len(shapes[parameter]) + dimension - len(leading)
        return NamedSharding(mesh, PartitionSpec(*leading, *[None] * before, "model"))

    return jax.tree_util.tree_map_with_path(shard, tree)


def parameter_of(
    path: str, shape: Shape, shapes: Mapping[str, Shape], ends: Mapping[str, str]
) -> str | None:
    """The parameter with the longest path that ends a leaf's path, and its shape the leaf's shape.

    Args:
      path: path of the leaf.
      shape: its shape, without leading axes.
      shapes: shapes of the parameters, by path.
      ends: what must end the path of the leaf, by path of the parameter.
    """
    found = [
        name
        for name, end in ends.items()
        if f"/{path}".endswith(f"/{end}")
        and shape[len(shape) - len(shapes[name]) :] == shapes[name]
    ]
    return max(found, key=lambda name: len(ends[name]), default=None)


def partition_dimensions(
    requested: DeviceMesh, shapes: Mapping[str, Shape], count: int
) -> dict[str, int | None]:
    """The dimension along which each parameter is sharded over `count` devices, None for none.

    Args:
      requested: the rules.
      shapes: shapes of one seed's parameters, by path.
      count: number of devices along the axis "model".

    Raises:
      BadInput: as in `shard_like_params`.
    """
    for rule in requested.rules:
        if not any(re.fullmatch(rule.pattern, path) for path in shapes):
            raise BadInput(
                f"DeviceMesh.rules: pattern {rule.pattern!r} matches no parameter: "
                f"{did_you_mean(rule.pattern, shapes)}"
            )
    return {
        path: partition_dimension(requested, path, shape, count) for path, shape in shapes.items()
    }


def partition_dimension(requested: DeviceMesh, path: str, shape: Shape, count: int) -> int | None:
    """The dimension along which a parameter is sharded, as in `partition_dimensions`."""
    rule = next((rule for rule in requested.rules if re.fullmatch(rule.pattern, path)), None)
    if rule is None:
        return largest_dimension(shape, count, requested.min_size)
    text = f"must be a dimension of {path} {list(shape)} that {count} devices divide"
    valid = rule.dimension is None or (
        rule.dimension < len(shape) and shape[rule.dimension] % count == 0
    )
    require(valid, rule, "dimension", text, rule.dimension)
    return rule.dimension


def largest_dimension(shape: Shape, count: int, min_size: int) -> int | None:
    """The largest dimension that `count` divides, the last of equal ones; None if too small."""
    divisible = [place for place, size in enumerate(shape) if size % count == 0]
    if math.prod(shape) < min_size:
        return None
    return max(divisible, key=lambda place: (shape[place], place), default=None)
