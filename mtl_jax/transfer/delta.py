"""DELTA: keeps feature maps near those of the source, weighted by channel importance."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import optax

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.source_context import SourceContext
from mtl_jax.core.target_types import MULTICLASS
from mtl_jax.core.validation import require, require_int, require_number
from mtl_jax.core.views import View
from mtl_jax.losses import cross_entropy
from mtl_jax.losses.masked import masked_mean
from mtl_jax.transfer.source_views import (
    ImageView,
    layer_pairs,
    require_held,
    require_layers,
    views_of,
)

CHUNK = 100  # Number of images per forward pass.
PENALTY = 1e-3  # Of the head; without it, separable data has no optimum.
DESCENTS = 50


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
    needs_feature_maps = True

    def __post_init__(self):
        require_held(self)
        require_layers(self)
        require_number(self, temperature=(0.0, math.inf))
        require(self.temperature > 0, self, "temperature", "must be above 0", self.temperature)
        require_int(self, examples=1)

    @property
    def views(self) -> tuple[View, ...]:
        """Views that the loss requires."""
        return views_of(self.view)

    def precompute(self, opening: SourceContext) -> dict[str, jax.Array]:
        """Computes the weights `[C]` of each layer's channels."""
        labels, rule = opening.labels, "needs classes, two or more, as integers [L]"
        fine = jnp.issubdtype(labels.dtype, jnp.integer) and labels.ndim == 1
        found = f"{opening.num_classes} outputs, labels {labels.dtype} {list(labels.shape)}"
        require(fine and opening.num_classes > 1, self, "precompute", rule, found)
        seen = subsample(opening, self.examples)
        whole = seen.source_features(seen.images[:1]).feature_maps
        layers = tuple(whole) if self.layers is None else self.layers
        features = source_features_chunked(seen)
        head = fit_linear_head(features, seen)
        base = head_loss(head, features, seen)

        def weights(layer):
            count = whole[layer].shape[-1]

            def rise(channel):
                keep = 1.0 - jax.nn.one_hot(channel, count)
                return head_loss(head, source_features_chunked(seen, layer, keep), seen) - base

            return channel_weights(jax.lax.map(rise, jnp.arange(count)), self.temperature)

        # `update` reports missing layers.
        return {layer: weights(layer) for layer in layers if layer in whole}

    def update(self, views: AuxInputs, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to one loss for the batch `[1]`, no state, and no metrics."""
        found = layer_pairs(self, views.feature_maps)
        losses = [delta(*two, views.precomputed[layer]) for layer, two in found.items()]
        return sum(losses)[None], state, {}


def delta(maps: jax.Array, source: jax.Array, weights: jax.Array) -> jax.Array:
    """Weighted distance of feature maps, `C / (2 P) sum_b sum_c w_c ||F_bc - F0_bc||^2`.

    P is the number of positions of a map (H W); the factor C compensates for weights that sum to 1.
    A sum, not a mean, over the batch. No gradient with respect to `source` or `weights`. TLLib uses
    a weight of 0.01, no weight decay, and a penalty on the head.

    Args:
      maps: feature maps of one layer, floats `[B, ..., C]`.
      source: feature maps of the source model on the same images, the same shape.
      weights: channel weights, `[C]`, as from `channel_weights`.

    Returns:
      A scalar `[]`; sum it over several layers.

    Raises:
      ValueError: if shapes do not match (when traced).

    Reference: Li et al., DELTA, ICLR 2019, the section on behavioural regularisation with
      attention (https://openreview.net/forum?id=rkgbwsAcYm); the factor C / P is TLLib's
      (https://github.com/thuml/Transfer-Learning-Library).
    """
    distances = channel_distances("delta", maps, source)
    if weights.shape != distances.shape:
        raise ValueError(f"delta needs weights [C] = {distances.shape}, not {weights.shape}")
    weights = jax.lax.stop_gradient(weights.astype(distances.dtype))
    factor = 0.5 * maps.shape[-1] / math.prod(maps.shape[1:-1])
    return factor * (weights * distances).sum()


def channel_weights(rises: jax.Array, temperature: float = 5.0) -> jax.Array:
    """Attention weights of channels from their importance, `softmax((r - mean r) / (std r T))`.

    r_c is the increase of the loss of the source model, with a newly trained head, when the filter
    of channel c is set to 0. Equal increases give equal weights.

    Args:
      rises: mean loss increase over labelled examples, `[C]`.
      temperature: the temperature T.

    Returns:
      Weights `[C]`, normalized to sum 1.

    Raises:
      ValueError: if `rises` is not a vector (when traced).
      BadInput: if T is not positive.

    Reference: Li et al., DELTA, ICLR 2019, the section on supervised attention
      (https://openreview.net/forum?id=rkgbwsAcYm); the paper uses a plain softmax of r; the
      standardisation and T are TLLib's (https://github.com/thuml/Transfer-Learning-Library).
    """
    if rises.ndim != 1:
        raise ValueError(f"channel_weights needs rises [C], not {rises.shape}")
    require(temperature > 0, "channel_weights", "temperature", "must be above 0", temperature)
    centred = rises - rises.mean()
    spread = jnp.sqrt(jnp.square(centred).mean())
    scores = centred / jnp.where(spread == 0, 1.0, spread)
    return jax.lax.stop_gradient(jax.nn.softmax(scores / temperature))


def channel_distances(name: str, maps: jax.Array, source: jax.Array) -> jax.Array:
    """Squared distances `[C]` of maps `[B, ..., C]`, per channel."""
    if maps.shape != source.shape or maps.ndim < 2:
        raise ValueError(
            f"{name} needs maps [B, ..., C] and source maps of the same shape, "
            f"not {maps.shape} and {source.shape}"
        )
    source = jax.lax.stop_gradient(source.astype(maps.dtype))
    return jnp.square(maps - source).sum(tuple(range(maps.ndim - 1)))


def subsample(opening: SourceContext, most: int) -> SourceContext:
    """Evenly spaced subset of at most `most` labelled images, padded with other images."""
    size = min(most, len(opening.labels))
    count = jnp.maximum(opening.mask.sum(), size)
    labelled_first = jnp.argsort(~opening.mask, stable=True)
    rows = labelled_first[jnp.arange(size) * count // size]
    images, labels, mask = (a[rows] for a in (opening.images, opening.labels, opening.mask))
    return opening._replace(images=images, labels=labels, mask=mask)


def source_features_chunked(
    seen: SourceContext, layer: str | None = None, keep: jax.Array | None = None
) -> jax.Array:
    """Features `[L, D]` of the source, computed in chunks of images."""

    def one(image):
        return seen.source_features(image[None], layer, keep).features[0]

    return jax.lax.map(one, seen.images, batch_size=CHUNK)


def fit_linear_head(features: jax.Array, seen: SourceContext) -> tuple[jax.Array, jax.Array]:
    """Fits a linear head `(W [D, C], b [C])` by cross-entropy, with a small penalty on W."""
    start = jnp.zeros((features.shape[-1], seen.num_classes)), jnp.zeros(seen.num_classes)
    solver = optax.lbfgs()

    def loss(head):
        return head_loss(head, features, seen) + PENALTY * jnp.square(head[0]).sum()

    value_and_grad = optax.value_and_grad_from_state(loss)

    def descend(carry, _):
        head, state = carry
        value, slope = value_and_grad(head, state=state)
        step, state = solver.update(slope, state, head, value=value, grad=slope, value_fn=loss)
        return (optax.apply_updates(head, step), state), None

    (head, _), _ = jax.lax.scan(descend, (start, solver.init(start)), length=DESCENTS)
    return head


def head_loss(
    head: tuple[jax.Array, jax.Array], features: jax.Array, seen: SourceContext
) -> jax.Array:
    """Mean cross-entropy `[]` of a head over the labelled images."""
    return masked_mean(cross_entropy, features @ head[0] + head[1][None], seen.labels, seen.mask)
