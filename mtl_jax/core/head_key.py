"""Names of a model's heads, and their place in its parameter tree.

    head                name         parameters
    of a task           task         tasks/heads/task/...
    auxiliary           task/head    tasks/heads/task/head/...
    of all tasks        /head        tasks/heads//head/...

Parameters are one tree, `{"shared": trunk, "tasks": {"heads": {name: head}, ...}}`; all but the
heads belong to the encoder. Batch statistics are those of the encoder, with those of heads that
have any as "heads".
"""

from typing import NamedTuple

from mtl_jax.core.tree import Tree


class HeadKey(NamedTuple):
    """The name of a head, by its task and its own name."""

    task: str  # "" for a head of all tasks.
    head: str = ""  # "" for the task's own head.

    @property
    def name(self) -> str:
        """The name among the model's heads."""
        return f"{self.task}/{self.head}" if self.head else self.task

    @property
    def path(self) -> str:
        """The path of its parameters."""
        return f"tasks/heads/{self.name}"

    @classmethod
    def parse(cls, name: str) -> "HeadKey":
        """The key of a name; names of tasks have no slash."""
        task, _, head = name.partition("/")
        return cls(task, head)


def head_params(params: Tree) -> Tree:
    """The parameters of all heads, by name."""
    return params["tasks"]["heads"]


def encoder_params(params: Tree) -> Tree:
    """The parameters of the encoder, i.e. all but those of the heads."""
    tasks = {name: part for name, part in params["tasks"].items() if name != "heads"}
    return {"shared": params["shared"], "tasks": tasks}


def join_params(encoder: Tree, heads: Tree) -> Tree:
    """The parameters of an encoder and of heads as one tree."""
    return {"shared": encoder["shared"], "tasks": {**encoder["tasks"], "heads": heads}}


def head_stats(stats: Tree) -> Tree:
    """The batch statistics of the heads that have any, by name."""
    return stats.get("heads", {})


def encoder_stats(stats: Tree) -> Tree:
    """The batch statistics of the encoder."""
    return {name: part for name, part in stats.items() if name != "heads"}


def join_stats(encoder: Tree, heads: Tree) -> Tree:
    """The batch statistics of an encoder and of heads as one tree."""
    return {**encoder, "heads": heads} if heads else encoder
