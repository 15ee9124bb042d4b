"""Protocols of user-defined objects, and notation of shapes.

    B labelled batch    U unlabelled batch    K tasks      C classes    D features
    H W image size      N examples            S seeds      ... any leading shape

Parameters are one tree, `{"shared": trunk, "tasks": {"heads": {task: head}}}`. With one trunk
per task, `shared` is empty and `tasks` also has `"trunk"`, with a leading axis K; other
task-specific parameters are in `"own"`.
"""

from typing import Any, ClassVar, Protocol, runtime_checkable


class RunSettings:
    """Base class of `mtl_jax.config.run.Run`, by which code that `Run` builds on knows a run."""


class TableRow(Protocol):
    """The settings of one table row: a dataclass with the name of the row and of its folder."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """Name of the row."""


@runtime_checkable
class PretrainedWeights(Protocol):
    """A file of pretrained weights; nothing is read before `load`."""

    def load(self, trunk: Any, shape: tuple[int, ...], *, dtype: Any) -> Any:
        """Reads parameters, statistics and head of a trunk, given image shape and dtype."""


@runtime_checkable
class ReadsTokens(Protocol):
    """A trunk with token inputs `[N, T]`, integers below `vocabulary`."""

    vocabulary: int
    places: int  # maximal length of a text


@runtime_checkable
class InsertsTokens(Protocol):
    """A policy that inserts its own tokens into texts."""

    token_ids: tuple[int, ...]
