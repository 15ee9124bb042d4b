"""Named recipes over optax, and schedules, as data that prints and hashes."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import optax

from mtl_jax.checks import require_count, require_number
from mtl_jax.trees import path_text


@dataclasses.dataclass(frozen=True)
class Cosine:
    """Learning rate that follows a cosine, after a linear warm-up.

    `peak * cos(2 pi cycles * t / steps)` at step t after `warmup` steps that rise from 0.
    `cycles=7/32` is FixMatch's `cos(7 pi k / 16 K)`; `cycles=1/4` ends at zero.

    Attributes:
      peak: largest rate.
      steps: steps in all, warm-up included.
      cycles: how much of a full turn is run through, at most a quarter.
      warmup: steps of the rise.

    Raises:
      BadInput: for a negative rate or a cosine that would turn negative.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Section 2.4 (https://arxiv.org/abs/2001.07685).
    """

    peak: float
    steps: int
    cycles: float = 7 / 32
    warmup: int = 0

    def __post_init__(self):
        require_number(self, peak=(0.0, math.inf), cycles=(0.0, 0.25))
        require_count(self, steps=1, warmup=0)

    def __call__(self, count: jax.Array) -> jax.Array:
        """The rate at step `count`, `[]`."""
        count = jnp.asarray(count, jnp.float32)
        rise = jnp.minimum(1.0, (count + 1.0) / (self.warmup + 1.0))
        done = jnp.clip((count - self.warmup) / max(1, self.steps - self.warmup), 0.0, 1.0)
        return self.peak * rise * jnp.cos(2.0 * math.pi * self.cycles * done)


@dataclasses.dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with Nesterov momentum and decay of the kernels.

    Weight decay is added to the gradient of leaves named `kernel` (not to biases and norms).

    Attributes:
      learning_rate: rate, or a schedule from the step to it.
      momentum: share of the last update that is kept.
      weight_decay: lambda of `lambda/2 ||w||^2`.

    Raises:
      BadInput: for a negative rate or decay, or a momentum outside [0, 1].
    """

    learning_rate: float | Cosine
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self):
        check_rate(self)
        require_number(self, momentum=(0.0, 1.0), weight_decay=(0.0, math.inf))

    def build(self) -> optax.GradientTransformation:
        """The optax transformation."""
        return optax.chain(
            optax.add_decayed_weights(self.weight_decay, kernels),
            optax.sgd(self.learning_rate, self.momentum, nesterov=True),
        )


@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam, with decoupled decay of the kernels (AdamW).

    Attributes:
      learning_rate: rate, or a schedule from the step to it.
      weight_decay: lambda of the decoupled decay `w -= rate * lambda * w`, kernels only.

    Raises:
      BadInput: for a negative rate or decay.

    Reference: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019,
      Algorithm 2 (https://arxiv.org/abs/1711.05101).
    """

    learning_rate: float | Cosine
    weight_decay: float = 0.0

    def __post_init__(self):
        check_rate(self)
        require_number(self, weight_decay=(0.0, math.inf))

    def build(self) -> optax.GradientTransformation:
        """The optax transformation."""
        return optax.adamw(self.learning_rate, weight_decay=self.weight_decay, mask=kernels)


def check_rate(optimizer: SGD | Adam) -> None:
    """Requires a rate that is a number of at least 0, or a schedule."""
    if not callable(optimizer.learning_rate):
        require_number(optimizer, learning_rate=(0.0, math.inf))


def kernels(params):
    """Tells for every leaf whether it is a kernel, which is what weight decay acts on."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path_text(path).endswith("kernel"), params
    )
