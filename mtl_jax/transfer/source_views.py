"""Views of the source model (`init_from`) on the images that the trained model receives."""

import math
from collections.abc import Mapping
from typing import Literal, Protocol, TypeVar

import jax

from mtl_jax.core.validation import did_you_mean, require, require_choice, require_number
from mtl_jax.core.views import SeparatePass, View, view_key

ImageView = Literal["labelled", "weak"]
T = TypeVar("T")


class HasView(Protocol):
    """A weighted method that uses one view of the images."""

    @property
    def weight(self) -> float:
        """Weight of the loss."""

    @property
    def view(self) -> ImageView:
        """The images to use."""


class HasLayers(HasView, Protocol):
    """A method that compares layers of the trunk."""

    @property
    def layers(self) -> tuple[str, ...] | None:
        """Names of trunk layers; None uses all of them."""


def views_of(view: ImageView) -> tuple[View, View]:
    """Returns a view, and the view of the same images by the source model."""
    return (view, SeparatePass((view,), model="source"))


def student_and_source(values: Mapping[str, T], view: ImageView) -> tuple[T, T]:
    """Returns the values of the trained model and of the source, from a mapping by view."""
    student, source = views_of(view)
    return values[view_key(student)], values[view_key(source)]


def require_weight_and_view(owner: HasView) -> None:
    """Requires a nonnegative weight and a supported view."""
    require_number(owner, weight=(0.0, math.inf))
    require_choice(owner, view=("labelled", "weak"))


def require_layers(owner: HasLayers) -> None:
    """Requires None or a tuple of distinct layer names."""
    layers = owner.layers
    names = isinstance(layers, tuple) and layers and all(isinstance(name, str) for name in layers)
    valid = layers is None or (names and len(set(layers)) == len(layers))
    require(bool(valid), owner, "layers", "must be None or a tuple of different names", layers)


def layer_pairs(
    owner: HasLayers, feature_maps: Mapping[str, Mapping[str, jax.Array]]
) -> dict[str, tuple[jax.Array, jax.Array]]:
    """Returns feature maps `(F, F0)` of the trained model and of the source, by layer name.

    Raises:
      BadInput: for a layer missing from the trunk, or a trunk that reports no layers (when traced).
    """
    student, source = student_and_source(feature_maps, owner.view)
    layers = tuple(student) if owner.layers is None else owner.layers
    require(len(layers) > 0, owner, "layers", "must be of a trunk that reports its layers", student)
    for name in layers:
        rule = f"must be of the trunk ({did_you_mean(name, student)})"
        require(name in student, owner, "layers", rule, name)
    return {name: (student[name], source[name]) for name in layers}
