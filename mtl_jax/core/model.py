"""A model as pure functions, and the outputs of its encoder and heads."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.features import as_vector
from mtl_jax.core.head_key import encoder_params, head_params
from mtl_jax.core.tree import Tree


class ModelOutput(NamedTuple):
    """Model outputs for a batch, by head, and the features `[N, D]` of each task."""

    logits: dict[str, Any]  # [N, ..., C], or a dict of arrays
    features: dict[str, jax.Array]  # the same array if shared


class EncoderOutput(NamedTuple):
    """Features (`mtl_jax.core.features`), and outputs `[N, ..., C]` of trunk layers by name."""

    features: Any
    feature_maps: dict[str, jax.Array]


def undefined(*inputs: Any) -> Any:
    """The default of a model's optional functions.

    Raises:
      ValueError: always.
    """
    raise ValueError("the model was made without embed_cross_task or apply_head")


class Model(NamedTuple):
    """A model as pure functions; a forward pass applies the encoder and then the heads.

    `init(key, x) -> (params, stats)`, with x a tree of arrays `[N, ...]`;
    `encode(params, stats, x, *, train, key, tasks) -> (features, stats)`, where `params` exclude
    the heads and features are one tree if shared by all heads, else `{task: tree}`;
    `decode(heads, stats, features, *, train, key) -> (logits, stats)`, with features by task;
    `embed_cross_task(heads, values, pair) -> embeddings` by task, if it has a
    `CrossTaskEmbedding`;
    `apply_head(heads, name, x) -> outputs` of any head.

    `stats` are BatchNorm's running statistics and the like, updated only with `train=True`;
    `key` is for models with randomness in training, and may be None otherwise; `tasks` are those
    whose features are returned, None for all.
    """

    init: Callable[..., tuple[Tree, Tree]]
    encode: Callable[..., tuple[Any, Tree]]
    decode: Callable[..., tuple[dict[str, Any], Tree]]
    embed_cross_task: Callable[..., dict[str, jax.Array]] = undefined
    apply_head: Callable[[Tree, str, jax.Array], jax.Array] = undefined

    def apply(
        self,
        params: Tree,
        stats: Tree,
        x: jax.Array,
        *,
        train: bool,
        key: jax.Array | None = None,
    ) -> tuple[ModelOutput, Tree]:
        """Applies encoder and heads, and returns `(ModelOutput, stats)`."""
        heads = head_params(params)
        features, stats = self.encode(encoder_params(params), stats, x, train=train, key=key)
        features = features_by_task(features, heads)
        vectors = {name: vector_features(each) for name, each in features.items()}
        logits, stats = self.decode(heads, stats, features, train=train, key=key)
        return ModelOutput(logits, vectors), stats


def trunk_features(features: Any) -> Any:
    """The features without the layer outputs of an `EncoderOutput`."""
    return features.features if isinstance(features, EncoderOutput) else features


def vector_features(features: Any) -> jax.Array:
    """The features as vectors `[N, D]`, for linear heads and methods."""
    return as_vector(trunk_features(features))


def features_by_task(features: Any, names: Iterable[str]) -> dict[str, Any]:
    """The input features of each task's head."""
    return features if isinstance(features, dict) else dict.fromkeys(names, features)


def forward(
    model: Model,
    params: Tree,
    batch_stats: Tree,
    inputs: Tree,
    key: jax.Array,
    tasks: tuple[str, ...],
    train: bool,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Features and outputs by task; the next batch statistics are discarded."""
    encoder = encoder_params(params)
    features, _ = model.encode(encoder, batch_stats, inputs, train=train, key=key, tasks=tasks)
    features = {name: features_by_task(features, tasks)[name] for name in tasks}
    heads = head_params(params)
    return features, model.decode(heads, batch_stats, features, train=train, key=key)[0]


def predict(
    model: Model,
    params: Tree,
    batch_stats: Tree,
    inputs: Tree,
    key: jax.Array,
    tasks: tuple[str, ...],
) -> dict[str, Any]:
    """Outputs by task in training mode; batch statistics are discarded."""
    return forward(model, params, batch_stats, inputs, key, tasks, train=True)[1]


def restore_counters(batch_stats: Tree, before: Tree) -> Tree:
    """Resets integer counters to `before`, so that a step counts once for all streams."""

    def one(new, old):
        return old if jnp.issubdtype(old.dtype, jnp.integer) else new

    return jax.tree.map(one, batch_stats, before)
