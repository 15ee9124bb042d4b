"""CTAugment: a strong augmentation that learns how strong it may be."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.augment.apply_sequence import in_turn, queued
from mtl_jax.augment.image.cta_operations import OPERATIONS, Operation
from mtl_jax.augment.image.fill import fill_like, require_fill
from mtl_jax.augment.image.validation import from_levels, require_image, require_images, to_levels
from mtl_jax.core.validation import require, require_count, require_number

PARAMETERS = 2  # Most that an operation has.
DRAWS = 1 + 2 * PARAMETERS  # For the operation, its bins, and the places in them.


class BinWeights(NamedTuple):
    """What CTAugment has learnt: how well the labels stand each bin of each parameter."""

    weights: jax.Array  # [O, 2, most bins], in [0, 1]; 0 where there is no bin


class Choice(NamedTuple):
    """What was done to one image."""

    operation: jax.Array  # [depth]
    bins: jax.Array  # [depth, 2], 0 of parameters that are not there


@dataclasses.dataclass(frozen=True)
class CTAugment:
    """Operations drawn at random, each no stronger than the net's predictions stand it.

    The range of every parameter is cut into bins of weights m, 1 at first. A strong view draws
    operations uniformly, for each parameter a bin with chance `p' = p 1[p >= th]`, where
    `p = (m + 1 - decay) / max (m + 1 - decay)`, and a place in the bin uniformly. A probe draws
    the bins uniformly too; a labelled example so changed has the score
    `w = 1 - 1/2 |p_net - onehot|_1`, which is the probability of its label, and each bin that
    it took learns `m <- decay m + (1 - decay) w`. The chance is relative to the best bin, as in
    the authors' code; the paper cuts at m itself. Cutout comes behind it, as a part of the
    recipe.

    Works on grey levels: floats are rounded to the nearest of 256. In a loop only the
    operations drawn are computed, under `jax.vmap` all of them: on a CPU loop it
    (`mtl_jax.augment.batched`).

    Attributes:
      depth: operations a view.
      threshold: th.
      decay: of the weights.
      fill: what comes from outside of the image, in [0, 1]; or one for each channel.
      operations: what is drawn from; those of the authors' code, with translations that are
        shares of the image.

    Raises:
      BadInput: for a setting outside its range, or no operations.

    Reference: Berthelot et al., ReMixMatch, ICLR 2020, Section 3.2.2
      (https://arxiv.org/abs/1911.09785).
    """

    depth: int = 2
    threshold: float = 0.8
    decay: float = 0.99
    fill: float | tuple[float, ...] = 0.5
    operations: tuple[Operation, ...] = OPERATIONS

    branches = True  # Only what is drawn is paid for, if it is not vmapped.

    def __post_init__(self):
        require_count(self, depth=0)
        require_number(self, threshold=(0.0, 1.0), decay=(0.0, 1.0))
        require_fill(self)
        fine = isinstance(self.operations, tuple) and len(self.operations) > 0
        fine = fine and all(isinstance(each, Operation) for each in self.operations)
        require(fine, self, "operations", "must be a tuple of Operation", self.operations)
        most = max(len(each.bins) for each in self.operations)
        rule = f"must have at most {PARAMETERS} parameters each"
        require(most <= PARAMETERS, self, "operations", rule, most)

    def init(self) -> BinWeights:
        """All bins with weight 1."""
        return BinWeights(jnp.asarray(self.exist(), jnp.float32))

    def __call__(self, key: jax.Array, image: jax.Array, state: BinWeights) -> jax.Array:
        """Maps a key `[]`, an image `[H, W, C]` and what was learnt to a strong view."""
        require_image(self, image)
        return self.changed(in_turn, self.draw(key, state), image)

    def looped(self, keys: jax.Array, images: jax.Array, state: BinWeights) -> jax.Array:
        """The call for keys `[N]` and images `[N, H, W, C]`; see `looped`."""
        require_images(self, images)
        drawn = jax.vmap(self.draw, (0, None))(keys, state)
        return self.changed(queued, drawn, images)

    def probe(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, Choice]:
        """Maps a key `[]` and an image `[H, W, C]` to one changed uniformly at random, and how."""
        require_image(self, image)
        drawn = self.draw(key, self.init())
        return self.changed(in_turn, drawn, image), drawn[0]

    def learn(
        self,
        state: BinWeights,
        choices: Choice,
        scores: jax.Array,
        mask: jax.Array | None = None,
    ) -> BinWeights:
        """Moves the weights of the bins that probes took towards their scores.

        Probes that took the same bin count one after another, in the order of the batch and
        then of the depth.

        Args:
          state: what was learnt before.
          choices: how the examples were changed, with a leading axis B.
          scores: w of each, `[B]`; no gradient flows into them.
          mask: whether each counts, `[B]`; None is all.

        Returns:
          The next state.
        """
        places, counts = self.places(choices)
        if mask is not None:
            counts &= mask[:, None, None]
        scores = jax.lax.stop_gradient(scores)[:, None, None]
        scores = jnp.where(counts, scores, 0.0).reshape(-1).astype(state.weights.dtype)
        return BinWeights(
            moved(state.weights, places.reshape(-1), counts.reshape(-1), scores, self.decay)
        )

    def exist(self) -> np.ndarray:
        """Which bins there are, `[O, 2, most bins]`."""
        counts = self.counts()
        return np.arange(max(1, counts.max())) < counts[..., None]

    def counts(self) -> np.ndarray:
        """How many bins each parameter has, `[O, 2]`, 0 of those that are not there."""
        padded = [(*each.bins, 0, 0)[:PARAMETERS] for each in self.operations]
        return np.array(padded, np.int32)

    def chances(self, weights: jax.Array, exist: jax.Array) -> jax.Array:
        """How likely each bin `[..., bins]` is, not normalised; 0 where there is none."""
        raised = jnp.where(exist, weights + (1.0 - self.decay), 0.0)
        best = raised.max(-1, keepdims=True)
        share = raised / jnp.where(best > 0.0, best, 1.0)
        return jnp.where(exist & (share >= self.threshold), share, 0.0)

    def draw(self, key: jax.Array, state: BinWeights) -> tuple[Choice, jax.Array, jax.Array]:
        """Operations and bins by their chances, their levels and places `[depth, 2]`."""
        # All draws at once: for small images a call for each took as long as the operations.
        draws = jax.random.uniform(key, (self.depth, DRAWS + 2), jnp.float32)
        choice, levels = jax.vmap(self.chosen, (0, None))(draws[:, :DRAWS], state)
        return choice, levels, draws[:, DRAWS:]

    def changed(self, how: Callable, drawn: tuple, image: jax.Array) -> jax.Array:
        """An image, or many, after what was drawn; `how` is `in_turn` or `queued`."""
        if self.depth == 0:
            return image
        fill = to_levels(fill_like(self, image))

        def change(operation):
            return lambda grey, levels, place: operation.change(place, grey, levels, fill)

        choice, levels, place = drawn
        changes = [change(each) for each in self.operations]
        grey = how(changes, choice.operation, (levels, place), to_levels(image))
        return from_levels(grey, image)

    def chosen(self, draw: jax.Array, state: BinWeights) -> tuple[Choice, jax.Array]:
        """One operation, a bin of each parameter, and a level `[2]`, by draws `[5]` in [0, 1)."""
        number = len(self.operations)
        operation = jnp.minimum((draw[0] * number).astype(jnp.int32), number - 1)
        exist = jnp.asarray(self.exist())[operation]
        bins = picked(self.chances(state.weights[operation], exist), draw[1 : 1 + PARAMETERS])
        count = jnp.maximum(exist.sum(1), 1).astype(draw.dtype)
        return Choice(operation, bins), (bins.astype(draw.dtype) + draw[1 + PARAMETERS :]) / count

    def places(self, choices: Choice) -> tuple[jax.Array, jax.Array]:
        """Where each bin taken stands among all weights, whether it is there, `[B, depth, 2]`."""
        most = self.exist().shape[2]
        parameters = jnp.arange(PARAMETERS, dtype=choices.operation.dtype)[None, None]
        parameter = choices.operation[..., None] * PARAMETERS + parameters
        there = jnp.asarray(self.counts() > 0)[choices.operation]
        return parameter * most + choices.bins, there


def picked(chances: jax.Array, draw: jax.Array) -> jax.Array:
    """One of the bins by their chances `[P, bins]` and draws `[P]` in [0, 1); 0 if none has any."""
    sums = jnp.cumsum(chances, 1)
    place = (sums <= (draw * sums[:, -1])[:, None]).sum(1)
    # By rounding a draw may come up to the whole sum, where no bin is left.
    last = jnp.where(chances > 0.0, jnp.arange(chances.shape[1])[None], 0).max(1)
    return jnp.minimum(place, last).astype(jnp.int32)


def moved(
    weights: jax.Array, places: jax.Array, counts: jax.Array, scores: jax.Array, decay: float
) -> jax.Array:
    """`m <- decay m + (1 - decay) w` for each place that counts, one after another, at once.

    A score that n later ones follow at its place weighs `(1 - decay) decay^n`.

    Args:
      weights: of any shape.
      places: in the flat weights, `[P]`.
      counts: whether each counts, `[P]`.
      scores: `[P]`.
      decay: a number in [0, 1].
    """
    flat = weights.reshape(-1)
    places = jnp.where(counts, places, flat.size)  # Nowhere: what is out of bounds is dropped.
    same = places[:, None] == places[None]
    later = jnp.triu(same, 1).sum(1).astype(flat.dtype)
    number = jnp.zeros_like(flat).at[places].add(1.0, mode="drop")
    gain = jnp.zeros_like(flat).at[places].add((1.0 - decay) * decay**later * scores, mode="drop")
    return (decay**number * flat + gain).reshape(weights.shape)
