"""What a method sees before the first step of a run with a source."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Opening(NamedTuple):
    """The labelled examples of one task, and the net that the run starts from."""

    images: jax.Array  # all that have labels, as they are, [L, ...]
    labels: jax.Array  # [L, ...]
    mask: jax.Array  # [L], whether the label is there
    classes: int  # C, outputs of the task
    # `read(images, layer, keep) -> Read`: features and maps of the net that the run starts from,
    # the channels of a layer multiplied by `keep` [C] if it is given.
    read: Callable[..., Any]
