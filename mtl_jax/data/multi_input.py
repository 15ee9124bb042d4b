"""Tasks that bring images of their own, each from a source of its own."""

import dataclasses

import jax
import numpy as np

from mtl_jax.core.protocols import Source, Splits
from mtl_jax.core.validation import BadInput, require, require_count
from mtl_jax.data.join_names import Names, classes_of


@dataclasses.dataclass(frozen=True)
class Input:
    """What one task reads.

    Attributes:
      task: its name.
      source: of its images, whose shapes are the same for all tasks.
      label: the name that its label has there.
      labelled: how many of its training examples have labels, such as few of a target beside
        all of the tasks that are rehearsed; None is what the run says.

    Raises:
      BadInput: for a name that is empty or "image", or a number below 1.
    """

    task: str
    source: Source
    label: str = "label"
    labelled: int | None = None

    def __post_init__(self):
        if self.labelled is not None:
            require_count(self, labelled=1)
        for field in ("task", "label"):
            name = getattr(self, field)
            require(name not in ("", "image"), self, field, 'must not be empty or "image"', name)


@dataclasses.dataclass(frozen=True)
class MultiInput:
    """A problem in which every task has images of its own, such as one domain a task.

    A step takes a batch of each task's images through the trunk, one task after the other, and
    each head reads those of its own. So BatchNorm normalises each task's images alone, while its
    running statistics are those of all tasks, except with one trunk a task. `Run.labelled` counts
    the examples of each task that has no number of its own. Splits and shapes have, under each task's name, its "image" and
    its label, by the task's name too.

    Attributes:
      inputs: one for each task.

    Raises:
      BadInput: for no input, or two of one task; and from `shapes` and `load` if a source has
        streams itself or lacks the label.
    """

    inputs: tuple[Input, ...]

    def __post_init__(self):
        require(len(self.inputs) > 0, self, "inputs", "must hold at least one", self.inputs)
        names = [one.task for one in self.inputs]
        require(len(set(names)) == len(names), self, "inputs", "must be of different tasks", names)

    @property
    def labelled_by_task(self) -> dict[str, int]:
        """By task, how many examples have labels, of those that say so."""
        return {one.task: one.labelled for one in self.inputs if one.labelled is not None}

    def shapes(self) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
        """Shapes and types of the training part, by task."""
        return {one.task: chosen(one, one.source.shapes()) for one in self.inputs}

    def pools(self) -> dict[str, np.ndarray]:
        """By task, which of its training images come without labels, of sources that say."""
        told = {one.task: one.source for one in self.inputs if hasattr(one.source, "pools")}
        found = {task: source.pools() for task, source in told.items()}
        return {task: pools[""] for task, pools in found.items() if "" in pools}

    def classes(self) -> dict[str, Names]:
        """By task, the classes of its label, of sources that tell their names."""
        told = {one.task: (one.label, classes_of(one.source)) for one in self.inputs}
        return {task: classes[label] for task, (label, classes) in told.items() if label in classes}

    def load(self) -> Splits:
        """Reads every source: parts `{task: {"image": [N, ...], task: [N, ...]}}`."""
        read = {one.task: one.source.load() for one in self.inputs}
        return Splits(
            *(
                {one.task: chosen(one, getattr(read[one.task], part)) for one in self.inputs}
                for part in Splits._fields
            )
        )


def chosen(one: Input, arrays) -> dict:
    """The images and the label of a task, from the arrays of its source."""
    for name in ("image", one.label):
        if name not in arrays:
            there = ", ".join(sorted(map(repr, arrays)))
            raise BadInput(f"MultiInput: the source of {one.task!r} has no {name!r}, only {there}")
    return {"image": arrays["image"], one.task: arrays[one.label]}
