"""Gradient reversal and the two published schedules of its coefficient."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from mtl_jax.core.validation import require, require_int, require_number
from mtl_jax.domain_adaptation.validation import require_floats


def reverse_gradient(x: jax.Array, coefficient: float | jax.Array) -> jax.Array:
    """Gradient reversal: the identity with a negated gradient, `R(x) = x`, `dR/dx = -c I`.

    Placed before a discriminator, a single descent step trains the discriminator to distinguish the
    domains and the layers before it to make them indistinguishable. No gradient with respect to the
    coefficient.

    Args:
      x: floats `[...]`.
      coefficient: the coefficient c, a float or an array `[]`; it may be traced.

    Returns:
      x, `[...]`.

    Raises:
      ValueError: if x is not a float array or the coefficient not a scalar (when traced).

    Reference: Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17, 2016,
      Section 4.2 (https://arxiv.org/abs/1505.07818).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import domain_adaptation
      >>> slope = jax.grad(lambda x: domain_adaptation.reverse_gradient(3.0 * x, 0.5))
      >>> float(slope(jnp.array(1.0)))
      -1.5
    """
    require_floats("reverse_gradient", x)
    coefficient = jnp.asarray(coefficient, x.dtype)
    if coefficient.ndim:
        raise ValueError(
            f"reverse_gradient needs one coefficient, not an array {coefficient.shape}"
        )
    return reverse_array(x, coefficient)


@jax.custom_jvp
def reverse_array(x: jax.Array, coefficient: jax.Array) -> jax.Array:
    """`reverse_gradient` of arrays."""
    return x


@reverse_array.defjvp
def reverse_jvp(primals, tangents):
    """JVP rule for both modes: linear in the tangent, so JAX can transpose it."""
    (x, coefficient), (tangent, _) = primals, tangents
    return x, -coefficient * tangent


@dataclasses.dataclass(frozen=True)
class SigmoidWarmUp:
    """Coefficient schedule over the whole training, `2 / (1 + exp(-g p)) - 1`.

    Increases from 0 to nearly 1 (0.9999 for g = 10).

    Attributes:
      gain: the gain g.

    Raises:
      BadInput: if the gain is negative.

    Reference: Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17, 2016,
      training procedure of the experiments with deep networks (https://arxiv.org/abs/1505.07818).

    Example:
      >>> from mtl_jax import domain_adaptation
      >>> warm_up = domain_adaptation.SigmoidWarmUp(gain=10.0)
      >>> [round(float(warm_up(progress)), 3) for progress in (0.0, 0.1, 0.5, 1.0)]
      [0.0, 0.462, 0.987, 1.0]
    """

    gain: float = 10.0

    def __post_init__(self):
        require_number(self, gain=(0.0, math.inf))

    def __call__(self, progress: float | jax.Array) -> jax.Array:
        """Maps the fraction of training completed, from 0 to 1, to the coefficient `[]`."""
        return 2.0 * jax.nn.sigmoid(self.gain * jnp.asarray(progress, float)) - 1.0


@dataclasses.dataclass(frozen=True)
class StepWarmUp:
    """Coefficient schedule in steps, `low + (high - low) (2 / (1 + exp(-a i / n)) - 1)`.

    With a = 1, only a fraction of 0.46 of the range is reached after n steps, 0.96 after 4 n;
    `SigmoidWarmUp` has a gain of 10 over the whole training.

    Attributes:
      gain: the gain a.
      steps: the number of steps n.
      low: coefficient at the first step.
      high: limit of the coefficient.

    Raises:
      BadInput: if the gain is negative, there is less than one step, or a coefficient is negative.

    Reference: TLLib's `WarmStartGradientReverseLayer`
      (https://github.com/thuml/Transfer-Learning-Library).

    Example:
      >>> from mtl_jax import domain_adaptation
      >>> warm_up = domain_adaptation.StepWarmUp(steps=1000, high=0.1)
      >>> [round(float(warm_up(step)), 3) for step in (0, 1000, 4000)]
      [0.0, 0.046, 0.096]
    """

    gain: float = 1.0
    steps: int = 1000
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self):
        bounds = (0.0, math.inf)
        require_number(self, gain=bounds, low=bounds, high=bounds)
        require_int(self, steps=1)
        require(self.low <= self.high, self, "low", "must not be above high", self.low)

    def __call__(self, step: int | jax.Array) -> jax.Array:
        """Maps the number of steps taken to the coefficient `[]`."""
        progress = jnp.asarray(step, float) / self.steps
        return self.low + (self.high - self.low) * (
            2.0 * jax.nn.sigmoid(self.gain * progress) - 1.0
        )
