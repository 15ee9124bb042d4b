"""DELTA in a run: maps of layers stay near the source's, the channels that matter most of all."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import optax

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.source_context import Opening
from mtl_jax.core.validation import require, require_count, require_number
from mtl_jax.core.views import View
from mtl_jax.losses import cross_entropy
from mtl_jax.losses.masked import masked_mean
from mtl_jax.losses.target_type import MULTICLASS
from mtl_jax.transfer.delta import channel_weights, delta
from mtl_jax.transfer.source_views import Seen, pairs, require_held, require_layers, views_of

CHUNK = 100  # Images that go through the net at a time.
PENALTY = 1e-3  # On the head that judges channels: what separates has no best head without.
DESCENTS = 50


@dataclasses.dataclass(frozen=True)
class DELTA:
    """Maps of layers stay near those of the source, channel by channel.

    `sum_layers C / (2 P) sum_b sum_c w_c ||F_bc - F0_bc||^2`, see `delta`: a sum over the batch,
    so it grows with it. Before the first step, a linear head is trained on the source's features
    of the labelled images; the weights w_c of a layer go by how much its loss rises when channel c
    is silent (`channel_weights`). It wants a run with a source, and classes. The weight goes with
    a weight decay of 0, and a penalty of 0.01 on the head (`L2SP(0.0, head_weight=0.01)`).
    Nothing flows into the source or the weights.

    Attributes:
      weight: of the sum.
      layers: names of the trunk's layers; None is all.
      view: which images; "weak" are the unlabelled ones.
      temperature: of the weights.
      examples: labelled images that judge the channels, at most; each of C channels costs as many
        passes forward.

    Raises:
      BadInput: for a setting out of range; when traced, for a layer that the trunk has not, or
        labels that are no classes.

    Reference: Li et al., DELTA, ICLR 2019, the sections on behavioural regularisation with
      attention and on supervised attention (https://openreview.net/forum?id=rkgbwsAcYm), whose
      head is trained by SGD; the default weight and T are TLLib's
      (https://github.com/thuml/Transfer-Learning-Library).
    """

    weight: float = 0.01
    layers: tuple[str, ...] | None = None
    view: Seen = "labelled"
    temperature: float = 5.0
    examples: int = 500

    target_types = MULTICLASS
    maps = True

    def __post_init__(self):
        require_held(self)
        require_layers(self)
        require_number(self, temperature=(0.0, math.inf))
        require(self.temperature > 0, self, "temperature", "must be above 0", self.temperature)
        require_count(self, examples=1)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return views_of(self.view)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def begin(self, opening: Opening) -> dict[str, jax.Array]:
        """The weights `[C]` of each layer's channels."""
        labels, rule = opening.labels, "needs classes, two or more, as whole numbers [L]"
        fine = jnp.issubdtype(labels.dtype, jnp.integer) and labels.ndim == 1
        found = f"{opening.classes} outputs, labels {labels.dtype} {list(labels.shape)}"
        require(fine and opening.classes > 1, self, "begin", rule, found)
        seen = some(opening, self.examples)
        whole = seen.read(seen.images[:1]).maps
        layers = tuple(whole) if self.layers is None else self.layers
        features = in_chunks(seen)
        head = fitted(features, seen)
        base = judged(head, features, seen)

        def weights(layer):
            count = whole[layer].shape[-1]

            def rise(channel):
                keep = 1.0 - jax.nn.one_hot(channel, count)
                return judged(head, in_chunks(seen, layer, keep), seen) - base

            return channel_weights(jax.lax.map(rise, jnp.arange(count)), self.temperature)

        # `update` names a layer that is not there.
        return {layer: weights(layer) for layer in layers if layer in whole}

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to one loss for the batch `[1]`, no state, and no metrics."""
        found = pairs(self, views.maps)
        losses = [delta(*two, views.opened[layer]) for layer, two in found.items()]
        return sum(losses)[None], state, {}


def some(opening: Opening, most: int) -> Opening:
    """At most so many of the images that have labels, at even spaces; others fill up."""
    size = min(most, len(opening.labels))
    count = jnp.maximum(opening.mask.sum(), size)
    labelled_first = jnp.argsort(~opening.mask, stable=True)
    rows = labelled_first[jnp.arange(size) * count // size]
    images, labels, mask = (a[rows] for a in (opening.images, opening.labels, opening.mask))
    return opening._replace(images=images, labels=labels, mask=mask)


def in_chunks(seen: Opening, layer: str | None = None, keep: jax.Array | None = None) -> jax.Array:
    """Features `[L, D]` of the source, some images at a time."""

    def one(image):
        return seen.read(image[None], layer, keep).features[0]

    return jax.lax.map(one, seen.images, batch_size=CHUNK)


def fitted(features: jax.Array, seen: Opening) -> tuple[jax.Array, jax.Array]:
    """A linear head `(W [D, C], b [C])` of least cross-entropy, with a small penalty on W."""
    start = jnp.zeros((features.shape[-1], seen.classes)), jnp.zeros(seen.classes)
    solver = optax.lbfgs()

    def loss(head):
        return judged(head, features, seen) + PENALTY * jnp.square(head[0]).sum()

    value_and_grad = optax.value_and_grad_from_state(loss)

    def descend(carry, _):
        head, state = carry
        value, slope = value_and_grad(head, state=state)
        step, state = solver.update(slope, state, head, value=value, grad=slope, value_fn=loss)
        return (optax.apply_updates(head, step), state), None

    (head, _), _ = jax.lax.scan(descend, (start, solver.init(start)), length=DESCENTS)
    return head


def judged(head: tuple[jax.Array, jax.Array], features: jax.Array, seen: Opening) -> jax.Array:
    """Mean cross-entropy `[]` of a head over the images that have labels."""
    return masked_mean(cross_entropy, features @ head[0] + head[1][None], seen.labels, seen.mask)
