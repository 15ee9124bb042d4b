"""Checks that heads, trunks and teachers from other runs use the same classes and inputs."""

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any

from mtl_jax.config.init_checks import unwrap_trunk
from mtl_jax.config.run import Run, teacher_by_task
from mtl_jax.config.task import Task, teacher_view
from mtl_jax.core.data_source import DataSource
from mtl_jax.core.head_key import HeadKey
from mtl_jax.core.validation import BadInput
from mtl_jax.data import MultiInput
from mtl_jax.data.join_names import Names, same_tokens
from mtl_jax.nets import PerTaskTrunk


def check_names(run: Run) -> None:
    """Checks the classes, columns and tokens of a run's data against its source model and teachers.

    Classes are compared for transferred heads and for tasks with a teacher; columns and tokens
    for the trunk's inputs, unless `new_params` reinitializes some parameters. Streams that share a
    trunk must agree too. Anything that a data source does not specify is not compared.

    Raises:
      BadInput: naming the run, the field, and the first difference.
    """
    require_streams(run)
    run_classes = classes_of(run.data)
    source = run.initialization.init_from
    if isinstance(source, Run):
        source_classes = classes_of(source.data)
        for source_task, task in restored_heads(run, source):
            where = (
                f"run {run.name!r}: initialization.param_map: the head of {task!r}, "
                f"from {source.name!r},"
            )
            require_same(where, source_classes.get(source_task), run_classes.get(task))
        if not run.initialization.new_params:
            require_inputs(f"run {run.name!r}: initialization.init_from:", run.data, source)
    for task in run.tasks:
        if teacher_view(task) is not None:
            teacher = teacher_by_task(run)[task.name, task.num_outputs]
            where = f"run {run.name!r}: labels.teachers: {teacher.name!r}, of {task.name!r},"
            teacher_classes = classes_of(teacher.data)
            require_same(where, teacher_classes.get(task.name), run_classes.get(task.name))
            require_inputs(f"run {run.name!r}: labels.teachers:", run.data, teacher)


def head_kernel(task: Task) -> str:
    """The path of the kernel of a task's head."""
    return f"{HeadKey(task.name).path}/kernel"


def restored_heads(run: Run, source: Run) -> list[tuple[str, str]]:
    """Pairs of a source model's task and the task of the run that is initialized from its head."""
    init = run.initialization
    heads = {head_kernel(task): task.name for task in run.tasks}
    restored = [path for path in heads if not any(re.fullmatch(p, path) for p in init.new_params)]
    pairs = []
    for task in source.tasks:
        matches = [(re.fullmatch(p, head_kernel(task)), path) for p, path in init.param_map]
        paths = [match.expand(path) for match, path in matches if match]
        pairs += [(task.name, heads[path]) for path in paths if path in restored]
    return pairs


def require_same(where: str, source: Names | None, own: Names | None) -> None:
    """Requires the same class names in the same order, if both are known."""
    if source is None or own is None:
        return
    pairs = itertools.zip_longest(map(str, source), map(str, own), fillvalue="nothing")
    for at, (there, here) in enumerate(pairs):
        if there != here:
            raise BadInput(
                f"{where} must have the classes of this run's data, but class {at} is {there!r} "
                f"there and {here!r} here"
            )


def require_inputs(where: str, own: DataSource, source: Run) -> None:
    """Requires data with the columns and tokens that another run's trunk was trained on.

    Args:
      where: prefix of error messages.
      own: the data source to check.
      source: the run whose trunk is applied to it.
    """
    fault = input_fault(columns_of(source.data), columns_of(own))
    if fault:
        raise BadInput(f"{where} must read the features that {source.name!r} learnt from: {fault}")
    fault = token_fault(tokenizer_of(source.data), tokenizer_of(own))
    if fault:
        raise BadInput(f"{where} must read the vocabulary that {source.name!r} learnt: {fault}")


def require_streams(run: Run) -> None:
    """Requires streams that share a trunk to agree on the vocabulary and the column order."""
    if not isinstance(run.data, MultiInput) or isinstance(
        unwrap_trunk(run.trunk)[-1], PerTaskTrunk
    ):
        return
    first, *others = run.data.inputs
    columns = columns_of(first.source)
    for stream in others:
        where = f"run {run.name!r}: data: {first.task!r} and {stream.task!r} share a trunk"
        own = columns_of(stream.source)
        same_names = columns is not None and own is not None and columns.keys() == own.keys()
        fault = input_fault(columns, own) if same_names else None
        fault = fault or token_fault(tokenizer_of(first.source), tokenizer_of(stream.source))
        if fault:
            raise BadInput(f"{where}, and so must have the same features or vocabulary: {fault}")


def classes_of(source: DataSource) -> dict[str, Names]:
    """Class names of a data source; none if a subclass overrides the method by a non-callable."""
    return source.classes() if callable(source.classes) else {}


def columns_of(source: DataSource) -> dict[str, Any] | None:
    """Columns of a data source; None if a subclass overrides the method by a non-callable."""
    return source.columns() if callable(source.columns) else None


def tokenizer_of(source: DataSource) -> Callable | None:
    """Tokenizer of a data source; None if a subclass overrides the method by a non-callable."""
    return source.text_tokenizer() if callable(source.text_tokenizer) else None


def input_fault(source: Mapping[str, Any] | None, own: Mapping[str, Any] | None) -> str | None:
    """Describes the first difference between two sets of features; None if equal or unknown."""
    if source is None or own is None:
        return None
    pairs = itertools.zip_longest(features(source), features(own), fillvalue="nothing")
    for at, (there, here) in enumerate(pairs):
        if there != here:
            return f"feature {at} is {there!r} there and {here!r} here"
    return None


def token_fault(source: Callable | None, own: Callable | None) -> str | None:
    """Describes the difference between two tokenizers; None if they agree or are unknown."""
    if source is None or own is None or same_tokens(source, own):
        return None
    return f"{source!r} there and {own!r} here"


def features(columns: Mapping[str, Any]) -> list[str]:
    """Names of the features, with one feature per value of a categorical column."""
    return [
        name if value is None else f"{name}={value}"
        for name, values in columns.items()
        for value in (values or (None,))
    ]
