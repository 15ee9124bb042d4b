"""Checks of sources that change some labels of another one."""

from typing import Any, Protocol

from mtl_jax.core.data_source import DataSource
from mtl_jax.core.validation import BadInput, require


class ChangesLabels(Protocol):
    """A source with the names of the labels that it changes."""

    @property
    def source(self) -> DataSource:
        """The wrapped source."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its labels."""


def require_label_names(owner: ChangesLabels) -> None:
    """Checks that `labels` is a tuple of different names.

    Raises:
      BadInput: for anything else.
    """
    labels = owner.labels
    valid = isinstance(labels, tuple) and len(labels) > 0
    valid = valid and all(isinstance(name, str) for name in labels)
    valid = valid and len({*labels}) == len(labels) and "inputs" not in labels
    require(valid, owner, "labels", "must be different names of labels", labels)


def shapes_with_labels(owner: ChangesLabels) -> dict[str, Any]:
    """Shapes and types of the source's training part, which has the labels.

    Raises:
      BadInput: for a label that the source does not have.
    """
    shapes = dict(owner.source.shapes())
    for name in owner.labels:
        if name not in shapes:
            raise BadInput(
                f"{type(owner).__name__}: the source has no {name!r}, but {sorted(shapes)}"
            )
    return shapes
