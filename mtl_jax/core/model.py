"""A net as pure functions, and what flows between its encoder and its heads."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax

Tree = Any


class Outputs(NamedTuple):
    """What a net says of a batch: logits `[..., C]` by task, and features before the heads."""

    logits: dict[str, jax.Array]
    features: dict[str, jax.Array]  # what each head reads, the same one if they share it


class Read(NamedTuple):
    """Features `[N, D]`, and what single layers of the trunk gave `[N, ..., C]`, by their names."""

    features: jax.Array
    maps: dict[str, jax.Array]


class Net(NamedTuple):
    """A model as pure functions; a pass is the encoder and then every head.

    `init(key, x) -> (params, stats)`;
    `encode(params, stats, x, *, train, key, tasks) -> (features, stats)`, where `params` are
    without the heads and features are one array if all heads read it, else `{task: array}`;
    `decode(heads, features) -> logits`, with features by task;
    `relate(heads, values, pair) -> embeddings` by task, if the net has a `Relation`;
    `call(heads, name, x) -> outputs` of any head. `stats` are BatchNorm's running statistics
    and the like, which only `train=True` moves; `key` is for nets that draw in training, and may
    be None otherwise; `tasks` are those whose features are wanted, None all.
    """

    init: Callable[..., tuple[Tree, Tree]]
    encode: Callable[..., tuple[Any, Tree]]
    decode: Callable[..., dict[str, jax.Array]]
    relate: Callable[..., dict[str, jax.Array]] | None = None
    call: Callable[[Tree, str, jax.Array], jax.Array] | None = None

    def apply(
        self,
        params: Tree,
        stats: Tree,
        x: jax.Array,
        *,
        train: bool,
        key: jax.Array | None = None,
    ) -> tuple[Outputs, Tree]:
        """The whole pass, `(Outputs, stats)`."""
        heads = params["tasks"]["heads"]
        features, stats = self.encode(without_heads(params), stats, x, train=train, key=key)
        features = by_task(features, heads)
        plain = {name: vectors(each) for name, each in features.items()}
        return Outputs(self.decode(heads, features), plain), stats


def without_heads(params: Tree) -> Tree:
    """What the encoder has of parameters."""
    tasks = {name: part for name, part in params["tasks"].items() if name != "heads"}
    return {"shared": params["shared"], "tasks": tasks}


def vectors(features: Any) -> jax.Array:
    """The features alone, without the maps of layers that may come with them."""
    return features.features if isinstance(features, Read) else features


def by_task(features: Any, names: Iterable[str]) -> dict[str, jax.Array]:
    """The features that each task's head reads."""
    return features if isinstance(features, dict) else dict.fromkeys(names, features)
