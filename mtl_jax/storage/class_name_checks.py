"""Heads, trunks and teachers that come from other runs mean the same by the same numbers."""

import itertools
import re
from typing import Any

from mtl_jax.config.init_checks import layers_of
from mtl_jax.config.run import Run, taught
from mtl_jax.config.task import asks_teacher
from mtl_jax.core.validation import BadInput
from mtl_jax.data import MultiInput
from mtl_jax.data.join_names import Names, classes_of, columns_of, same_tokens, tokens_of
from mtl_jax.nets import PerTask

HEAD = "tasks/heads/{}/kernel"


def check_names(run: Run) -> None:
    """Requires of a run's source and teachers the classes, columns and tokens of its own data.

    Classes are those of heads that are taken over, and of tasks that teachers teach; columns and
    tokens those that the trunk reads, unless `fresh` says that some of it is new. Streams that
    share a trunk must have the same ones too. What a source of data does not tell is not compared.

    Raises:
      BadInput: naming the run, the field, and the first that differs.
    """
    require_streams(run)
    own = classes_of(run.data)
    if isinstance(run.source, Run):
        told = classes_of(run.source.data)
        for there, here in taken_heads(run):
            where = f"run {run.name!r}: take: the head of {here!r}, from {run.source.name!r},"
            require_same(where, told.get(there), own.get(here))
        if not run.fresh:
            require_inputs(f"run {run.name!r}: source:", run.data, run.source)
    for task in run.tasks:
        if asks_teacher(task) is not None:
            teacher = taught(run)[task.name, task.outputs]
            where = f"run {run.name!r}: teachers: {teacher.name!r}, of {task.name!r},"
            require_same(where, classes_of(teacher.data).get(task.name), own.get(task.name))
            require_inputs(f"run {run.name!r}: teachers:", run.data, teacher)


def taken_heads(run: Run) -> list[tuple[str, str]]:
    """The tasks of the source whose heads a run takes over, each with its task here."""
    heads = {HEAD.format(task.name): task.name for task in run.tasks}
    kept = [place for place in heads if not any(re.fullmatch(new, place) for new in run.fresh)]
    found = []
    for task in run.source.tasks:
        matches = [(re.fullmatch(p, HEAD.format(task.name)), place) for p, place in run.take]
        places = [match.expand(place) for match, place in matches if match]
        found += [(task.name, heads[place]) for place in places if place in kept]
    return found


def require_same(where: str, told: Names | None, own: Names | None) -> None:
    """Requires classes of the same names in the same places, where both are known."""
    if told is None or own is None:
        return
    told, own = (list(map(str, names)) for names in (told, own))
    for at, (there, here) in enumerate(itertools.zip_longest(told, own, fillvalue="nothing")):
        if there != here:
            raise BadInput(
                f"{where} must have the classes of this run's data, but class {at} is {there!r} "
                f"there and {here!r} here"
            )


def require_inputs(where: str, own: Any, other: Run) -> None:
    """Requires data of the columns and the tokens that another run's trunk has learnt to read.

    Args:
      where: what reads, for errors.
      own: the source of its data.
      other: the run whose trunk reads it.
    """
    fault = input_fault(columns_of(other.data), columns_of(own))
    if fault:
        raise BadInput(f"{where} must read the features that {other.name!r} learnt from: {fault}")
    fault = token_fault(tokens_of(other.data), tokens_of(own))
    if fault:
        raise BadInput(f"{where} must read the vocabulary that {other.name!r} learnt: {fault}")


def require_streams(run: Run) -> None:
    """Requires one vocabulary, and of the same columns one order, of streams that share a trunk."""
    if not isinstance(run.data, MultiInput) or isinstance(layers_of(run.trunk)[-1], PerTask):
        return
    first, *others = run.data.inputs
    for one in others:
        where = f"run {run.name!r}: data: {first.task!r} and {one.task!r} share a trunk"
        columns = [columns_of(each.source) for each in (first, one)]
        alike = None not in columns and columns[0].keys() == columns[1].keys()
        fault = input_fault(*columns) if alike else None
        fault = fault or token_fault(*(tokens_of(each.source) for each in (first, one)))
        if fault:
            raise BadInput(f"{where}, and so must have the same features or vocabulary: {fault}")


def input_fault(told: dict[str, Any] | None, own: dict[str, Any] | None) -> str | None:
    """How features of other data differ from one's own, where both are known."""
    if told is None or own is None:
        return None
    pairs = itertools.zip_longest(features(told), features(own), fillvalue="nothing")
    for at, (there, here) in enumerate(pairs):
        if there != here:
            return f"feature {at} is {there!r} there and {here!r} here"
    return None


def token_fault(told: Any, own: Any) -> str | None:
    """How tokens of other data differ from one's own, where both are known."""
    if told is None or own is None or same_tokens(told, own):
        return None
    return f"{told!r} there and {own!r} here"


def features(columns: dict[str, Any]) -> list[str]:
    """The name of each feature."""
    return [
        name if value is None else f"{name}={value}"
        for name, values in columns.items()
        for value in (values or (None,))
    ]
