"""Views of the source model (`init_from`) on the images that the trained model receives."""

import math
from typing import Any, Literal, TypeVar

from mtl_jax.core.validation import did_you_mean, require, require_choice, require_number
from mtl_jax.core.views import SeparatePass, View, view_key

ImageView = Literal["labelled", "weak"]
T = TypeVar("T")


def views_of(view: ImageView) -> tuple[View, View]:
    """Returns a view, and the view of the same images by the source model."""
    return (view, SeparatePass((view,), model="source"))


def trained_and_source(said: dict[str, T], view: ImageView) -> tuple[T, T]:
    """Returns the entries of the trained model and of the source, from a dict by view."""
    now, before = views_of(view)
    return said[view_key(now)], said[view_key(before)]


def require_held(owner: Any) -> None:
    """Requires a nonnegative weight and a supported view."""
    require_number(owner, weight=(0.0, math.inf))
    require_choice(owner, view=("labelled", "weak"))


def require_layers(owner: Any) -> None:
    """Requires None or a tuple of distinct layer names."""
    layers = owner.layers
    names = isinstance(layers, tuple) and layers and all(isinstance(name, str) for name in layers)
    fine = layers is None or (names and len(set(layers)) == len(layers))
    require(bool(fine), owner, "layers", "must be None or a tuple of different names", layers)


def layer_pairs(owner: Any, maps: dict[str, dict[str, Any]]) -> dict[str, tuple]:
    """Returns maps `(F, F0)` of the trained model and of the source, by layer name.

    Raises:
      BadInput: for a layer missing from the trunk, or a trunk that reports no layers (when traced).
    """
    now, before = trained_and_source(maps, owner.view)
    layers = tuple(now) if owner.layers is None else owner.layers
    require(len(layers) > 0, owner, "layers", "must be of a trunk that tells its layers", now)
    for name in layers:
        require(
            name in now, owner, "layers", f"must be of the trunk ({did_you_mean(name, now)})", name
        )
    return {name: (now[name], before[name]) for name in layers}
