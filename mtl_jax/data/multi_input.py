"""Multi-input problems: each task has its own images from its own data source."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from mtl_jax.core.data_source import DataSource, Splits
from mtl_jax.core.validation import BadInput, require, require_int
from mtl_jax.data.join_names import Names

Part = Mapping[str, Any]  # Arrays by name; or such mappings by task, see `Splits`.


@dataclasses.dataclass(frozen=True)
class Input:
    """The input of one task.

    Attributes:
      task: name of the task.
      source: data source of the images; their shapes are the same for all tasks.
      label: name of the label in the source.
      labelled: number of labelled training examples, for example few of a target task alongside
        all of the rehearsed tasks; None uses the value of the run.

    Raises:
      BadInput: for a name that is empty or "inputs", or a number below 1.

    Example:
      >>> from mtl_jax import data
      >>> data.Input("digit", data.Digits(), label="digit", labelled=100)
      Input(task='digit', source=Digits(seed=0), label='digit', labelled=100)
    """

    task: str
    source: DataSource
    label: str = "label"
    labelled: int | None = None

    def __post_init__(self):
        if self.labelled is not None:
            require_int(self, labelled=1)
        for field in ("task", "label"):
            name = getattr(self, field)
            require(name not in ("", "inputs"), self, field, 'must not be empty or "inputs"', name)


@dataclasses.dataclass(frozen=True)
class MultiInput(DataSource):
    """A multi-input problem: every task has its own images, such as one domain per task.

    A step passes a batch of each task's images through the trunk, one task after another, and
    each head reads its own task's features. BatchNorm therefore normalizes each task's images
    separately, while its running statistics are shared by all tasks, except with one trunk per
    task. `Labels.num_labelled` applies to each task that does not set its own number. Splits and
    shapes contain, under each task's name, "inputs" and the label, which is also called by the
    task's name.

    Attributes:
      inputs: one input per task.

    Raises:
      BadInput: if there are no inputs, or two for one task; and from `shapes` and `load` if a
        source is itself multi-input or lacks the label.

    Example:
      >>> from mtl_jax import data
      >>> inputs = (data.Input("first", data.Digits(), "digit"),)
      >>> inputs += (data.Input("second", data.SmallDigits(), "digit"),)
      >>> {task: list(shapes) for task, shapes in data.MultiInput(inputs).shapes().items()}
      {'first': ['inputs', 'first'], 'second': ['inputs', 'second']}
    """

    inputs: tuple[Input, ...]

    def __post_init__(self):
        require(len(self.inputs) > 0, self, "inputs", "must hold at least one", self.inputs)
        tasks = [entry.task for entry in self.inputs]
        require(len(set(tasks)) == len(tasks), self, "inputs", "must be of different tasks", tasks)

    @property
    def num_labelled_by_task(self) -> dict[str, int]:
        """Number of labelled examples by task, for the inputs that set it."""
        return {entry.task: entry.labelled for entry in self.inputs if entry.labelled is not None}

    def shapes(self) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
        """Shapes and types of the training part, by task."""
        return {entry.task: select_arrays(entry, entry.source.shapes()) for entry in self.inputs}

    def pools(self) -> dict[str, np.ndarray]:
        """Indices of unlabelled training images by task, for the sources that define them."""
        pools = {entry.task: entry.source.pools() for entry in self.inputs}
        return {task: indices[""] for task, indices in pools.items() if "" in indices}

    def classes(self) -> dict[str, Names]:
        """Classes of each task's label, for the sources that name them."""
        classes = {entry.task: (entry.label, entry.source.classes()) for entry in self.inputs}
        return {task: names[label] for task, (label, names) in classes.items() if label in names}

    def load(self) -> Splits:
        """Reads every source: parts `{task: {"inputs": [N, ...], task: [N, ...]}}`."""
        return self.select([entry.source.load() for entry in self.inputs])

    def open_splits(self) -> Splits:
        """The same with what the sources read when it is needed."""
        return self.select([entry.source.open_splits() for entry in self.inputs])

    @property
    def has_random_access(self) -> bool:
        """Whether some source has it."""
        return any(entry.source.has_random_access for entry in self.inputs)

    def select(self, splits: Sequence[Splits]) -> Splits:
        """The arrays of all tasks, from those of every source."""
        return Splits(*(self.select_part(parts) for parts in zip(*splits, strict=True)))

    def select_part(self, parts: Sequence[Part]) -> Part:
        """The arrays of all tasks, from the same part of every source."""
        pairs = zip(self.inputs, parts, strict=True)
        return {entry.task: select_arrays(entry, part) for entry, part in pairs}


def select_arrays(entry: Input, arrays: Part) -> dict[str, Any]:
    """Selects the images and the label of a task from the arrays of its source."""
    for name in ("inputs", entry.label):
        if name not in arrays:
            names = ", ".join(sorted(map(repr, arrays)))
            raise BadInput(
                f"MultiInput: the source of {entry.task!r} has no {name!r}, only {names}"
            )
    return {"inputs": arrays["inputs"], entry.task: arrays[entry.label]}
