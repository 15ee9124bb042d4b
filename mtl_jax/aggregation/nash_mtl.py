"""Nash-MTL: the gradients' bargaining solution, solved exactly."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.convex import fair_point


@dataclasses.dataclass(frozen=True)
class NashMTL:
    """The Nash bargaining solution: `Gw = 1/w`, `w > 0`.

    The combination maximises the sum over the tasks of the logarithm of `<g_i, d>`, so it
    conflicts with no task. Its length is `sqrt(K)` whatever the gradients; if all of them are
    scaled by s, the weights are by `1/s`, and lengths of single gradients do not matter.

    Departures from the reference code: the equation is solved to rounding at every step, by
    Newton's method on the convex potential `w'Gw / 2 - sum log w`, where the code linearises it
    20 times and keeps earlier weights; and the combined gradient is not clipped to norm 1
    (which there always acts): set a clip in the optimizer, or the run's scale to "unit".

    Degenerate gradients: a zero one gets weight 0 and the others bargain alone; all zero, 1/K
    each; opposed ones have no finite solution, and a ridge of 32 epsilon times each squared
    length gives large weights (about 500 over the length in float32) that cancel; for K = 1 the
    weight is `1 / ||g||`. A NaN or an infinity in G makes all weights NaN. No gradient flows
    into G. The reference weighs heads too; here they keep their own gradient unless the run
    says `heads="weighted"`.

    Reference: Navon et al., Multi-Task Learning as a Bargaining Game, ICML 2022, Section 3.2
      and Algorithm 1 (https://arxiv.org/abs/2202.01017).
    """

    def init(self, num_tasks: int) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def weigh_gram(
        self, gram: jax.Array, state: tuple[()], key: jax.Array
    ) -> tuple[jax.Array, tuple[()]]:
        """Maps the Gram matrix `[K, K]` to weights `[K]`."""
        return fair_point(jax.lax.stop_gradient(gram), 1.0, jnp.ones_like(gram[0])), state
