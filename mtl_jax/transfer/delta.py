"""DELTA: keeps feature maps near those of the source, weighted by channel importance."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import optax

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxUpdate
from mtl_jax.core.features import features_at
from mtl_jax.core.source_context import SourceContext
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.tree import sum_arrays
from mtl_jax.core.validation import require, require_int, require_number
from mtl_jax.core.views import View
from mtl_jax.losses import cross_entropy
from mtl_jax.losses.masked import masked_mean
from mtl_jax.transfer.source_views import (
    ImageView,
    layer_pairs,
    require_layers,
    require_weight_and_view,
    views_of,
)

CHUNK = 100  # Number of images per forward pass.
PENALTY = 1e-3  # Of the head; without it, separable data has no optimum.
LBFGS_STEPS = 50


@dataclasses.dataclass(frozen=True)
class DELTA(AuxiliaryLoss):
    """DELTA: keeps feature maps near those of the source, weighted by channel importance.

    `sum_layers C / (2 P) sum_b sum_c w_c ||F_bc - F0_bc||^2`, see `delta`: a sum over the batch, so
    it grows with the batch size. Before the first step, a linear head is trained on the source's
    features of the labelled images; the weights w_c of a layer depend on the increase of its loss
    when channel c is zeroed (`channel_weights`). The run requires a source model (`init_from`) and
    a classification task. Use it with a weight decay of 0 and a penalty of 0.01 on the head
    (`L2SP(0.0, head_weight=0.01)`). No gradient with respect to the source or the weights.

    Attributes:
      weight: weight of the sum.
      layers: names of trunk layers; None uses all of them.
      view: the images to use; "weak" are the unlabelled ones.
      temperature: temperature T of the channel weights.
      examples: maximum number of labelled images used to compute the weights; each of the C
        channels requires a forward pass of all of them.

    Raises:
      BadInput: if a setting is out of range; when traced, for a layer missing from the trunk, or if
        labels are not classes.

    Reference: Li et al., DELTA, ICLR 2019, the sections on behavioural regularisation with
      attention and on supervised attention (https://openreview.net/forum?id=rkgbwsAcYm), whose
      head is trained by SGD; the default weight and T are TLLib's
      (https://github.com/thuml/Transfer-Learning-Library).
    """

    weight: float = 0.01
    layers: tuple[str, ...] | None = None
    view: ImageView = "labelled"
    temperature: float = 5.0
    examples: int = 500

    target_types = MULTICLASS
    per_position = False
    needs_feature_maps = True

    def __post_init__(self):
        require_weight_and_view(self)
        require_layers(self)
        require_number(self, temperature=(0.0, math.inf))
        require(self.temperature > 0, self, "temperature", "must be above 0", self.temperature)
        require_int(self, examples=1)

    @property
    def views(self) -> tuple[View, ...]:
        """Views that the loss requires."""
        return views_of(self.view)

    def precompute(self, source: SourceContext) -> dict[str, jax.Array]:
        """Computes the weights `[C]` of each layer's channels."""
        labels, rule = source.labels, "needs classes, two or more, as integers [L, ...]"
        valid = jnp.issubdtype(labels.dtype, jnp.integer)
        value = f"{source.num_classes} outputs, labels {labels.dtype} {list(labels.shape)}"
        require(valid and source.num_classes > 1, self, "precompute", rule, value)
        source = subsample(source, self.examples)
        feature_maps = source.source_features(source.inputs[:1]).feature_maps
        layers = tuple(feature_maps) if self.layers is None else self.layers
        features = source_features_chunked(source)
        head = fit_linear_head(features, source)
        base_loss = head_loss(head, features, source)

        def weights(layer: str) -> jax.Array:
            num_channels = feature_maps[layer].shape[-1]

            def loss_increase(channel: jax.Array) -> jax.Array:
                keep = 1.0 - jax.nn.one_hot(channel, num_channels)
                features = source_features_chunked(source, layer, keep)
                return head_loss(head, features, source) - base_loss

            increases = jax.lax.map(loss_increase, jnp.arange(num_channels))
            return channel_weights(increases, self.temperature)

        # `update` reports missing layers.
        return {layer: weights(layer) for layer in layers if layer in feature_maps}

    def update(self, views: AuxInputs, state: tuple[()]) -> AuxUpdate:
        """Maps views to one loss for the batch `[1]`, no state, and no metrics."""
        pairs = layer_pairs(self, views.feature_maps)
        losses = [delta(*pair, views.precomputed[layer]) for layer, pair in pairs.items()]
        return AuxUpdate(sum_arrays(losses)[None], state, {})


def delta(feature_maps: jax.Array, source: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted distance of feature maps, `C / (2 P) sum_b sum_c w_c ||F_bc - F0_bc||^2`.

    P is the number of positions of a map (H W); the factor C compensates for weights that sum to 1.
    A sum, not a mean, over the batch. No gradient with respect to `source` or `weights`. TLLib uses
    a weight of 0.01, no weight decay, and a penalty on the head.

    Args:
      feature_maps: feature maps of one layer, floats `[B, ..., C]`.
      source: feature maps of the source model on the same images, the same shape.
      weights: channel weights, `[C]`, as from `channel_weights`.

    Returns:
      A scalar `[]`; sum it over several layers.

    Raises:
      ValueError: if shapes do not match (when traced).

    Reference: Li et al., DELTA, ICLR 2019, the section on behavioural regularisation with
      attention (https://openreview.net/forum?id=rkgbwsAcYm); the factor C / P is TLLib's
      (https://github.com/thuml/Transfer-Learning-Library).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> feature_maps, source = jnp.ones((2, 4, 4, 2)), jnp.zeros((2, 4, 4, 2))
      >>> float(transfer.delta(feature_maps, source, jnp.array([0.25, 0.75])))
      2.0
    """
    distances = channel_distances("delta", feature_maps, source)
    if weights.shape != distances.shape:
        raise ValueError(f"delta needs weights [C] = {distances.shape}, not {weights.shape}")
    weights = jax.lax.stop_gradient(weights.astype(distances.dtype))
    factor = 0.5 * feature_maps.shape[-1] / math.prod(feature_maps.shape[1:-1])
    return factor * (weights * distances).sum()


def channel_weights(loss_increases: jax.Array, temperature: float = 5.0) -> jax.Array:
    """Attention weights of channels from their importance, `softmax((r - mean r) / (std r T))`.

    r_c is the increase of the loss of the source model, with a newly trained head, when the filter
    of channel c is set to 0. Equal increases give equal weights.

    Args:
      loss_increases: mean loss increase over labelled examples, `[C]`.
      temperature: the temperature T.

    Returns:
      Weights `[C]`, normalized to sum 1.

    Raises:
      ValueError: if `loss_increases` is not a vector (when traced).
      BadInput: if T is not positive.

    Reference: Li et al., DELTA, ICLR 2019, the section on supervised attention
      (https://openreview.net/forum?id=rkgbwsAcYm); the paper uses a plain softmax of r; the
      standardisation and T are TLLib's (https://github.com/thuml/Transfer-Learning-Library).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import transfer
      >>> weights = transfer.channel_weights(jnp.array([0.1, 0.3]), temperature=1.0)
      >>> [round(weight, 3) for weight in weights.tolist()]
      [0.119, 0.881]
    """
    if loss_increases.ndim != 1:
        raise ValueError(f"channel_weights needs loss increases [C], not {loss_increases.shape}")
    require(temperature > 0, "channel_weights", "temperature", "must be above 0", temperature)
    centered = loss_increases - loss_increases.mean()
    std = jnp.sqrt(jnp.square(centered).mean())
    scores = centered / jnp.where(std == 0, 1.0, std)
    return jax.lax.stop_gradient(jax.nn.softmax(scores / temperature))


def channel_distances(name: str, feature_maps: jax.Array, source: jax.Array) -> jax.Array:
    """Squared distances `[C]` of maps `[B, ..., C]`, per channel."""
    if feature_maps.shape != source.shape or feature_maps.ndim < 2:
        raise ValueError(
            f"{name} needs maps [B, ..., C] and source maps of the same shape, "
            f"not {feature_maps.shape} and {source.shape}"
        )
    source = jax.lax.stop_gradient(source.astype(feature_maps.dtype))
    return jnp.square(feature_maps - source).sum(tuple(range(feature_maps.ndim - 1)))


def subsample(source: SourceContext, max_examples: int) -> SourceContext:
    """Evenly spaced subset of at most `max_examples` labelled images, padded with other images."""
    size = min(max_examples, len(source.labels))
    count = jnp.maximum(source.mask.sum(), size)
    labelled_first = jnp.argsort(~source.mask, stable=True)
    rows = labelled_first[jnp.arange(size) * count // size]
    images, labels, mask = (a[rows] for a in (source.inputs, source.labels, source.mask))
    return source._replace(inputs=images, labels=labels, mask=mask)


def source_features_chunked(
    source: SourceContext, layer: str | None = None, keep: jax.Array | None = None
) -> jax.Array:
    """Features `[L, ..., D]` of the source at every label, computed in chunks of images."""

    def features(image: jax.Array) -> jax.Array:
        found = source.source_features(image[None], layer, keep).features
        return features_at(found, source.labels.shape[1:])[0]

    return jax.lax.map(features, source.inputs, batch_size=CHUNK)


def fit_linear_head(features: jax.Array, source: SourceContext) -> tuple[jax.Array, jax.Array]:
    """Fits a linear head `(W [D, C], b [C])` by cross-entropy, with a small penalty on W."""
    start = jnp.zeros((features.shape[-1], source.num_classes)), jnp.zeros(source.num_classes)
    solver = optax.lbfgs()

    def loss(head: tuple[jax.Array, jax.Array]) -> jax.Array:
        return head_loss(head, features, source) + PENALTY * jnp.square(head[0]).sum()

    value_and_grad = optax.value_and_grad_from_state(loss)

    def lbfgs_step(carry, _):
        head, state = carry
        value, grad = value_and_grad(head, state=state)
        updates, state = solver.update(grad, state, head, value=value, grad=grad, value_fn=loss)
        return (optax.apply_updates(head, updates), state), None

    (head, _), _ = jax.lax.scan(lbfgs_step, (start, solver.init(start)), length=LBFGS_STEPS)
    return head


def head_loss(
    head: tuple[jax.Array, jax.Array], features: jax.Array, source: SourceContext
) -> jax.Array:
    """Mean cross-entropy `[]` of a head over the labelled images."""
    logits = features @ head[0] + head[1].reshape((1,) * (features.ndim - 1) + (-1,))
    return masked_mean(cross_entropy, logits, source.labels, source.mask)
