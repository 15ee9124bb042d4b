"""Describes the inputs and tasks of a run, for those who use its exported model."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.core.data_source import DataSource, WrappedSource
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import require
from mtl_jax.data import (
    FixedLabels,
    MultiInput,
    PerSeed,
    Resized,
    StandardizedLabels,
    Table,
    Texts,
    WordPiece,
)
from mtl_jax.data.files.column_splits import format_of
from mtl_jax.export.function import array_spec, box_decoder, flat_inputs
from mtl_jax.export.table_columns import describe_columns
from mtl_jax.losses import ctc_loss
from mtl_jax.losses.target_type import possible_types, types_of, without_options
from mtl_jax.predict.description import (
    INPUTS,
    AnswerKind,
    InputKind,
    InputSpec,
    TaskSpec,
    Tokenizer,
)

Scales = dict[str, tuple[np.ndarray, np.ndarray]]  # Mean and standard deviation by label.
KINDS: dict[int, InputKind] = {2: "vector", 3: "series", 4: "image"}  # By axes of floats.


def source_of_seed(run: Run, seed: int) -> DataSource:
    """The data source of a seed."""
    return run.data.for_seed(seed) if isinstance(run.data, PerSeed) else run.data


def evaluation_inputs(run: Run, splits: Mapping[str, Any]) -> Tree:
    """The test inputs `[N, ...]` of the first task.

    Raises:
      BadInput: if tasks have inputs of different shapes or dtypes.
    """
    streams = [stream[INPUTS] for stream in splits["test"].values()]
    specs = [{n: str(array_spec(a)) for n, a in flat_inputs(each).items()} for each in streams]
    rule = "must have inputs of one shape and dtype for all tasks, to be exported"
    require(all(spec == specs[0] for spec in specs), run, "data", rule, specs)
    return jax.tree.map(np.asarray, streams[0])


def input_spec(source: DataSource, inputs: Tree) -> InputSpec:
    """What a model reads, given its data source and inputs `[N, ...]`."""
    arrays = {name: array_spec(array) for name, array in flat_inputs(inputs).items()}
    if isinstance(inputs, Mapping):
        return InputSpec("arrays", arrays)
    tokens = np.issubdtype(inputs.dtype, np.integer) and inputs.ndim == 2
    kind = "tokens" if tokens else KINDS.get(inputs.ndim, "arrays")
    base = base_source(source)
    if kind == "vector" and isinstance(base, Table):
        return InputSpec(kind, arrays, describe_columns(base), format_of(base)._asdict())
    tokenizer = source.text_tokenizer()
    if kind == "tokens" and isinstance(tokenizer, WordPiece):
        own = Tokenizer(tokenizer.length, tokenizer.lower)
        texts = isinstance(base, Texts)
        cells = format_of(base)._asdict() if texts else None
        return InputSpec(
            kind, arrays, None, cells, text=base.text if texts else "text", tokenizer=own
        )
    return InputSpec(kind, arrays, resized_from=resized_from(source) if kind == "image" else ())


def resized_from(source: DataSource) -> tuple[tuple[int, ...], ...]:
    """Heights and widths that a source's images have in turn before they are resized."""
    sizes: list[tuple[int, ...]] = []
    while isinstance(source, WrappedSource | FixedLabels):
        if isinstance(source, Resized):
            sizes.insert(0, tuple(source.source.shapes()[INPUTS].shape[1:3]))
        source = source.source
    return tuple(sizes)


def base_source(source: DataSource) -> DataSource:
    """The source whose inputs another one has."""
    while isinstance(source, WrappedSource | FixedLabels):
        source = source.source
    return source


def label_scales(source: DataSource) -> Scales:
    """Means and standard deviations of all labels that a source standardizes; reads its data."""
    if isinstance(source, MultiInput):
        found = {entry.task: (entry.label, label_scales(entry.source)) for entry in source.inputs}
        return {task: scales[label] for task, (label, scales) in found.items() if label in scales}
    if isinstance(source, StandardizedLabels):
        return {**label_scales(source.source), **source.scales()}
    if isinstance(source, WrappedSource | FixedLabels):
        return label_scales(source.source)
    return {}


def task_specs(run: Run, source: DataSource, outputs: Mapping[str, Any]) -> tuple[TaskSpec, ...]:
    """What the tasks of a run answer.

    Args:
      run: the run.
      source: its data source, that of the exported seed.
      outputs: names of the model's outputs, `task` or `task/name`.
    """
    classes, scales = source.classes(), label_scales(source)
    labels = label_dtypes(source)

    def spec(task: Task) -> TaskSpec:
        kind: AnswerKind = "arrays"
        if task.name in outputs:
            kind = answer_kind(task, labels.get(task.name))
        elif box_decoder(task) is not None:
            kind = "boxes"
        names = tuple(map(str, classes.get(task.name, ())))
        size = 2 if kind == "binary" else task.num_outputs
        fits = len(names) == size and kind not in ("continuous", "arrays")
        mean, std = scales.get(task.name, (None, None)) if kind == "continuous" else (None, None)
        return TaskSpec(task.name, kind, names if fits else None, as_floats(mean), as_floats(std))

    return tuple(map(spec, run.tasks))


def as_floats(values: np.ndarray | None) -> tuple[float, ...] | None:
    """An array `[]` or `[D]` as a tuple of floats."""
    return None if values is None else tuple(map(float, np.atleast_1d(values)))


def label_dtypes(source: DataSource) -> dict[str, np.dtype]:
    """The dtypes of all labels by name."""
    shapes = source.shapes()
    streams = [shapes] if INPUTS in shapes else shapes.values()
    return {
        name: np.dtype(label.dtype)
        for stream in streams
        for name, label in stream.items()
        if name != INPUTS
    }


def answer_kind(task: Task, dtype: np.dtype | None) -> AnswerKind:
    """The target type of a task; "arrays" where it is unknown, or the outputs are an alignment.

    A user's own loss has the type that its metrics support, or else that of the labels.
    """
    if without_options(task.loss) is ctc_loss:
        return "arrays"
    types = set(possible_types(task.loss, task.num_outputs))
    types = functools.reduce(set.intersection, (set(types_of(m)) for m in task.metrics), types)
    if len(types) != 1 and dtype is not None:
        types &= {"multiclass", "binary"} if dtype.kind in "iub" else {"continuous", "multilabel"}
    return types.pop() if len(types) == 1 else "arrays"
