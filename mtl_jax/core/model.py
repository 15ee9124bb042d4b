"""A model as pure functions, and the outputs of its encoder and heads."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.core.head_key import encoder_params, head_params
from mtl_jax.core.tree import Tree


class ModelOutput(NamedTuple):
    """Model outputs for a batch: logits `[..., C]` and input features of the heads, by task."""

    logits: dict[str, jax.Array]
    features: dict[str, jax.Array]  # input of each head, the same array if shared


class EncoderOutput(NamedTuple):
    """Features `[N, D]`, and outputs `[N, ..., C]` of single trunk layers by name."""

    features: jax.Array
    feature_maps: dict[str, jax.Array]


def undefined(*inputs: Any) -> Any:
    """The default of a model's optional functions.

    Raises:
      ValueError: always.
    """
    raise ValueError("the model was made without embed_cross_task or apply_head")


class Model(NamedTuple):
    """A model as pure functions; a forward pass applies the encoder and then the heads.

    `init(key, x) -> (params, stats)`;
    `encode(params, stats, x, *, train, key, tasks) -> (features, stats)`, where `params` exclude
    the heads and features are one array if shared by all heads, else `{task: array}`;
    `decode(heads, features) -> logits`, with features by task;
    `embed_cross_task(heads, values, pair) -> embeddings` by task, if it has a
    `CrossTaskEmbedding`;
    `apply_head(heads, name, x) -> outputs` of any head.

    `stats` are BatchNorm's running statistics and the like, updated only with `train=True`;
    `key` is for models with randomness in training, and may be None otherwise; `tasks` are those
    whose features are returned, None for all.
    """

    init: Callable[..., tuple[Tree, Tree]]
    encode: Callable[..., tuple[Any, Tree]]
    decode: Callable[..., dict[str, jax.Array]]
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
        pooled = {name: pooled_features(each) for name, each in features.items()}
        return ModelOutput(self.decode(heads, features), pooled), stats


def pooled_features(features: Any) -> jax.Array:
    """The features without the feature maps of an `EncoderOutput`."""
    return features.features if isinstance(features, EncoderOutput) else features


def features_by_task(features: Any, names: Iterable[str]) -> dict[str, jax.Array]:
    """The input features of each task's head."""
    return features if isinstance(features, dict) else dict.fromkeys(names, features)


def forward(
    model: Model,
    params: Tree,
    batch_stats: Tree,
    images: jax.Array,
    key: jax.Array,
    tasks: tuple[str, ...],
    train: bool,
) -> tuple[dict[str, Any], dict[str, jax.Array]]:
    """Features and outputs by task; the next batch statistics are discarded."""
    encoder = encoder_params(params)
    features, _ = model.encode(encoder, batch_stats, images, train=train, key=key, tasks=tasks)
    features = {name: features_by_task(features, tasks)[name] for name in tasks}
    return features, model.decode(head_params(params), features)


def predict(
    model: Model,
    params: Tree,
    batch_stats: Tree,
    images: jax.Array,
    key: jax.Array,
    tasks: tuple[str, ...],
) -> dict[str, jax.Array]:
    """Outputs by task in training mode; batch statistics are discarded."""
    return forward(model, params, batch_stats, images, key, tasks, train=True)[1]


def restore_counters(batch_stats: Tree, before: Tree) -> Tree:
    """Resets integer counters to `before`, so that a step counts once for all streams."""

    def one(new, old):
        return old if jnp.issubdtype(old.dtype, jnp.integer) else new

    return jax.tree.map(one, batch_stats, before)
