"""Gradient reversal, and how its coefficient grows in the two published ways."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require, require_count, require_number
from mtl_jax.domain_adaptation.validation import require_floats


def reverse(x: jax.Array, coefficient: float | jax.Array) -> jax.Array:
    """The identity, whose gradient is turned round: `R(x) = x`, `dR/dx = -c I`.

    Placed before a discriminator, one descent trains the discriminator to tell domains apart and
    what lies before it to make them alike. No gradient flows into the coefficient.

    Args:
      x: floats `[...]`.
      coefficient: c, a number or an array `[]`; it may be traced.

    Returns:
      x, `[...]`.

    Raises:
      ValueError: if x is no float or the coefficient no scalar, when traced.

    Reference: Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17, 2016,
      Section 4.2 (https://arxiv.org/abs/1505.07818).
    """
    require_floats("reverse", x)
    coefficient = jnp.asarray(coefficient, x.dtype)
    if coefficient.ndim:
        raise ValueError(f"reverse needs one coefficient, not an array {coefficient.shape}")
    return turned(x, coefficient)


@jax.custom_jvp
def turned(x: jax.Array, coefficient: jax.Array) -> jax.Array:
    """`reverse` of arrays."""
    return x


@turned.defjvp
def turn(primals, tangents):
    """Both modes: linear in the tangent, so that JAX transposes it."""
    (x, coefficient), (tangent, _) = primals, tangents
    return x, -coefficient * tangent


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """Coefficient over the whole training, `2 / (1 + exp(-g p)) - 1`.

    It goes from 0 to nearly 1 (0.9999 for g = 10).

    Attributes:
      gain: g.

    Raises:
      BadInput: for a gain below 0.

    Reference: Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17, 2016,
      training procedure of the experiments with deep networks (https://arxiv.org/abs/1505.07818).
    """

    gain: float = 10.0

    def __post_init__(self):
        require_number(self, gain=(0.0, math.inf))

    def __call__(self, progress: float | jax.Array) -> jax.Array:
        """Maps the part of the training that is done, from 0 to 1, to the coefficient `[]`."""
        return 2.0 * jax.nn.sigmoid(self.gain * jnp.asarray(progress, float)) - 1.0


@dataclasses.dataclass(frozen=True)
class StepWarmUp:
    """Coefficient over a number of steps, `low + (high - low) (2 / (1 + exp(-a i / n)) - 1)`.

    With a = 1 only 0.46 of the way is done after n steps, 0.96 after 4 n; `WarmUp` has a gain
    of 10 over the whole training.

    Attributes:
      gain: a.
      steps: n.
      low: at the first step.
      high: at the end.

    Raises:
      BadInput: for a gain below 0, less than one step, or a coefficient below 0.

    Reference: TLLib's `WarmStartGradientReverseLayer`
      (https://github.com/thuml/Transfer-Learning-Library).
    """

    gain: float = 1.0
    steps: int = 1000
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self):
        ends = (0.0, math.inf)
        require_number(self, gain=ends, low=ends, high=ends)
        require_count(self, steps=1)
        require(self.low <= self.high, self, "low", "must not be above high", self.low)

    def __call__(self, step: int | jax.Array) -> jax.Array:
        """Maps the number of steps taken to the coefficient `[]`."""
        done = jnp.asarray(step, float) / self.steps
        return self.low + (self.high - self.low) * (2.0 * jax.nn.sigmoid(self.gain * done) - 1.0)
