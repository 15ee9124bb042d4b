"""What the net that a run started from says of the images that the trained net sees."""

import math
from typing import Any, Literal, TypeVar

from mtl_jax.core.validation import near, require, require_choice, require_number
from mtl_jax.core.views import Apart, View, name_of

Seen = Literal["labelled", "weak"]
Said = TypeVar("Said")


def views_of(view: Seen) -> tuple[View, View]:
    """A view, and the same images seen by the net that the run started from."""
    return (view, Apart((view,), by="source"))


def both(said: dict[str, Said], view: Seen) -> tuple[Said, Said]:
    """What the trained net and the source say, of what is known by view."""
    now, before = views_of(view)
    return said[name_of(now)], said[name_of(before)]


def require_held(owner: Any) -> None:
    """Requires a weight of at least 0, and a view that is there to see."""
    require_number(owner, weight=(0.0, math.inf))
    require_choice(owner, view=("labelled", "weak"))


def require_layers(owner: Any) -> None:
    """Requires names of layers, each once, or None."""
    layers = owner.layers
    names = isinstance(layers, tuple) and layers and all(isinstance(name, str) for name in layers)
    fine = layers is None or (names and len(set(layers)) == len(layers))
    require(bool(fine), owner, "layers", "must be None or a tuple of different names", layers)


def pairs(owner: Any, maps: dict[str, dict[str, Any]]) -> dict[str, tuple]:
    """Maps `(F, F0)` of the trained net and of the source, by the layers that a method names.

    Raises:
      BadInput: for a layer that the trunk has not, or a trunk that tells none, when traced.
    """
    now, before = both(maps, owner.view)
    layers = tuple(now) if owner.layers is None else owner.layers
    require(len(layers) > 0, owner, "layers", "must be of a trunk that tells its layers", now)
    for name in layers:
        require(name in now, owner, "layers", f"must be of the trunk ({near(name, now)})", name)
    return {name: (now[name], before[name]) for name in layers}
