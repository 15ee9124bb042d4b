"""CTAugment: a strong augmentation that learns its admissible strength."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.augment.apply_sequence import apply_ops, apply_ops_batched
from mtl_jax.augment.image.cta_operations import OPERATIONS, Operation
from mtl_jax.augment.image.fill import fill_like, require_fill
from mtl_jax.augment.image.validation import from_levels, require_image, require_images, to_levels
from mtl_jax.core.policy import LearnablePolicy
from mtl_jax.core.validation import require, require_int, require_number

PARAMETERS = 2  # Maximum per operation.
NUM_SAMPLES = 1 + 2 * PARAMETERS  # For the operation, its bins, and the positions in them.


class BinWeights(NamedTuple):
    """Learnt bin weights: how well labels are predicted under each bin of each parameter."""

    weights: jax.Array  # [O, 2, max bins], in [0, 1]; 0 where there is no bin


class Choice(NamedTuple):
    """Operations and bins that were applied to one image."""

    operation: jax.Array  # [depth]
    bins: jax.Array  # [depth, 2], 0 for absent parameters


@dataclasses.dataclass(frozen=True)
class CTAugment(LearnablePolicy):
    """Random operations, no stronger than the model's predictions tolerate.

    The range of every parameter is divided into bins with weights m, initially 1. A strong view
    samples operations uniformly, for each parameter a bin with probability proportional to
    `p' = p 1[p >= th]`, where `p = (m + 1 - decay) / max (m + 1 - decay)`, and a position in the
    bin uniformly. A probe samples the bins uniformly too; a labelled example changed by it has
    the score `w = 1 - 1/2 |p_net - onehot|_1`, which is the probability of its label, and each
    sampled bin is updated by `m <- decay m + (1 - decay) w`. The probability is relative to the
    best bin, as in the authors' code; the paper thresholds m itself. Cutout is applied after it,
    as a part of the recipe.

    Works on gray levels: floats are rounded to the nearest of 256. In a loop only the sampled
    operations are computed, under `jax.vmap` all of them: on a CPU use a loop
    (`Execution.augment_loop`).

    Attributes:
      depth: operations per view.
      threshold: th.
      decay: of the weights.
      fill: value outside the image, in [0, 1]; or one for each channel.
      operations: candidates; those of the authors' code, with translations as fractions of the
        image.

    Raises:
      BadInput: for a setting outside its range, or no operations.

    Reference: Berthelot et al., ReMixMatch, ICLR 2020, Section 3.2.2
      (https://arxiv.org/abs/1911.09785).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> policy = augment.CTAugment()
      >>> state = policy.init()
      >>> state.weights.shape  # Operations, parameters, bins.
      (19, 2, 17)
      >>> jax.eval_shape(policy, jax.random.key(0), jnp.ones((8, 8, 3)), state).shape
      (8, 8, 3)
    """

    depth: int = 2
    threshold: float = 0.8
    decay: float = 0.99
    fill: float | tuple[float, ...] = 0.5
    operations: tuple[Operation, ...] = OPERATIONS

    has_branches = True  # Computes only sampled operations unless vmapped.

    def __post_init__(self):
        require_int(self, depth=0)
        require_number(self, threshold=(0.0, 1.0), decay=(0.0, 1.0))
        require_fill(self)
        valid = isinstance(self.operations, tuple) and len(self.operations) > 0
        valid = valid and all(isinstance(operation, Operation) for operation in self.operations)
        require(valid, self, "operations", "must be a tuple of Operation", self.operations)
        parameters = max(len(operation.bins) for operation in self.operations)
        rule = f"must have at most {PARAMETERS} parameters each"
        require(parameters <= PARAMETERS, self, "operations", rule, parameters)

    def init(self) -> BinWeights:
        """Returns the initial state: all weights 1."""
        return BinWeights(jnp.asarray(self.valid_bins(), jnp.float32))

    def __call__(self, key: jax.Array, image: jax.Array, state: BinWeights) -> jax.Array:
        """Maps a key `[]`, an image `[H, W, C]` and the state to a strong view."""
        require_image(self, image)
        return self.transform(apply_ops, self.sample(key, state), image)

    def apply_batched(self, keys: jax.Array, images: jax.Array, state: BinWeights) -> jax.Array:
        """Batched call for keys `[N]` and images `[N, H, W, C]`; see `LearnablePolicy`."""
        require_images(self, images)
        sampled = jax.vmap(self.sample, (0, None))(keys, state)
        return self.transform(apply_ops_batched, sampled, images)

    def probe(self, key: jax.Array, image: jax.Array) -> tuple[jax.Array, Choice]:
        """Maps a key `[]` and an image `[H, W, C]` to a uniformly changed one, and its choice."""
        require_image(self, image)
        sampled = self.sample(key, self.init())
        return self.transform(apply_ops, sampled, image), sampled[0]

    def update(
        self,
        state: BinWeights,
        choices: Choice,
        scores: jax.Array,
        mask: jax.Array | None = None,
    ) -> BinWeights:
        """Updates the weights of the bins that probes sampled towards their scores.

        Probes that sampled the same bin count one after another, in the order of the batch and
        then of the depth.

        Args:
          state: before.
          choices: of the examples, with a leading axis B.
          scores: w of each, `[B]`; gradients are stopped.
          mask: whether each counts, `[B]`; None is all.

        Returns:
          The next state.
        """
        indices, valid = self.bin_indices(choices)
        if mask is not None:
            valid &= mask[:, None, None]
        scores = jax.lax.stop_gradient(scores)[:, None, None]
        scores = jnp.where(valid, scores, 0.0).reshape(-1).astype(state.weights.dtype)
        return BinWeights(
            update_weights(
                state.weights, indices.reshape(-1), valid.reshape(-1), scores, self.decay
            )
        )

    def valid_bins(self) -> np.ndarray:
        """Which bins exist, `[O, 2, max bins]`."""
        counts = self.bin_counts()
        return np.arange(max(1, counts.max())) < counts[..., None]

    def bin_counts(self) -> np.ndarray:
        """Number of bins of each parameter, `[O, 2]`, 0 for absent parameters."""
        padded = [(*operation.bins, 0, 0)[:PARAMETERS] for operation in self.operations]
        return np.array(padded, np.int32)

    def bin_probabilities(self, weights: jax.Array, valid: jax.Array) -> jax.Array:
        """Unnormalized probability of each bin `[..., bins]`; 0 where there is none."""
        shifted = jnp.where(valid, weights + (1.0 - self.decay), 0.0)
        best = shifted.max(-1, keepdims=True)
        relative = shifted / jnp.where(best > 0.0, best, 1.0)
        return jnp.where(valid & (relative >= self.threshold), relative, 0.0)

    def sample(self, key: jax.Array, state: BinWeights) -> tuple[Choice, jax.Array, jax.Array]:
        """Samples operations and bins, and their levels and positions `[depth, 2]`."""
        # All samples at once: for small images separate calls took as long as the operations.
        uniform = jax.random.uniform(key, (self.depth, NUM_SAMPLES + 2), jnp.float32)
        choice, levels = jax.vmap(self.choose, (0, None))(uniform[:, :NUM_SAMPLES], state)
        return choice, levels, uniform[:, NUM_SAMPLES:]

    def transform(self, apply: Callable, sampled: tuple, image: jax.Array) -> jax.Array:
        """Applies sampled operations; `apply` is `apply_ops` or `apply_ops_batched`."""
        if self.depth == 0:
            return image
        fill = to_levels(fill_like(self, image))

        def bind_fill(operation):
            return lambda gray, levels, position: operation.change(position, gray, levels, fill)

        choice, levels, position = sampled
        operations = [bind_fill(operation) for operation in self.operations]
        gray = apply(operations, choice.operation, (levels, position), to_levels(image))
        return from_levels(gray, image)

    def choose(self, uniform: jax.Array, state: BinWeights) -> tuple[Choice, jax.Array]:
        """One operation, a bin of each parameter, and levels `[2]`, by samples `[5]` in [0, 1)."""
        number = len(self.operations)
        operation = jnp.minimum((uniform[0] * number).astype(jnp.int32), number - 1)
        valid = jnp.asarray(self.valid_bins())[operation]
        probabilities = self.bin_probabilities(state.weights[operation], valid)
        bins = sample_bins(probabilities, uniform[1 : 1 + PARAMETERS])
        count = jnp.maximum(valid.sum(1), 1).astype(uniform.dtype)
        levels = (bins.astype(uniform.dtype) + uniform[1 + PARAMETERS :]) / count
        return Choice(operation, bins), levels

    def bin_indices(self, choices: Choice) -> tuple[jax.Array, jax.Array]:
        """Index of each sampled bin in the flat weights, and whether it exists, `[B, depth, 2]`."""
        max_bins = self.valid_bins().shape[2]
        parameters = jnp.arange(PARAMETERS, dtype=choices.operation.dtype)[None, None]
        parameter = choices.operation[..., None] * PARAMETERS + parameters
        valid = jnp.asarray(self.bin_counts() > 0)[choices.operation]
        return parameter * max_bins + choices.bins, valid


def sample_bins(weights: jax.Array, uniform: jax.Array) -> jax.Array:
    """Samples bins from weights `[P, bins]` and `[P]` uniform in [0, 1); 0 if all weights are 0."""
    sums = jnp.cumsum(weights, 1)
    index = (sums <= (uniform * sums[:, -1])[:, None]).sum(1)
    # Due to rounding a sample may reach the full sum, where no bin is left.
    last = jnp.where(weights > 0.0, jnp.arange(weights.shape[1])[None], 0).max(1)
    return jnp.minimum(index, last).astype(jnp.int32)


def update_weights(
    weights: jax.Array, indices: jax.Array, valid: jax.Array, scores: jax.Array, decay: float
) -> jax.Array:
    """`m <- decay m + (1 - decay) w` for each valid index, in sequence, computed at once.

    A score followed by n later ones at its index has the weight `(1 - decay) decay^n`.

    Args:
      weights: of any shape.
      indices: indices in the flat weights, `[P]`.
      valid: whether each counts, `[P]`.
      scores: `[P]`.
      decay: a float in [0, 1].
    """
    flat = weights.reshape(-1)
    indices = jnp.where(valid, indices, flat.size)  # Out of bounds, so it is dropped.
    same = indices[:, None] == indices[None]
    later = jnp.triu(same, 1).sum(1).astype(flat.dtype)
    count = jnp.zeros_like(flat).at[indices].add(1.0, mode="drop")
    gain = jnp.zeros_like(flat).at[indices].add((1.0 - decay) * decay**later * scores, mode="drop")
    return (decay**count * flat + gain).reshape(weights.shape)
