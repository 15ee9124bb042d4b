"""GradDrop: in every coordinate keeps one gradient sign, sampled by sign purity."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.jacobian_rows import broadcast_rows, safe_divide, sum_rows
from mtl_jax.core.balancing import BalancedGradient, JacobianAggregator
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.tree import Tree, path_str
from mtl_jax.core.validation import require


@dataclasses.dataclass(frozen=True)
class GradDrop(JacobianAggregator):
    """Gradient sign dropout.

    `P = (1 + sum_i g_i / sum_i |g_i|) / 2` in each coordinate. With probability f(P) the positive
    entries are kept and the negative ones dropped, otherwise the other way around; a leak `l_i`
    passes that fraction of the dropped entries: `d = sum_i (l_i + (1 - l_i) M_i) g_i`. The result
    scales with the gradients. Where all tasks agree on the sign it is their sum; without leak it
    never mixes signs in a coordinate, yet it may conflict with a task. Every leaf uses its own key,
    derived from its path.

    The paper applies it to gradients of a representation, multiplied by the representation's sign
    and summed over the batch; here it acts on the unchanged rows, by default those of the shared
    parameters.

    The weight of a task is the mean weight of its coordinates (1 or `l_i`), weighted by their
    absolute values.

    Degenerate gradients: a zero row contributes nothing and has weight 0; of two opposed rows each
    coordinate keeps one with probability 1/2; for K = 1 the row is unchanged. A NaN or infinity
    anywhere makes the result NaN. There is no gradient with respect to the rows; heads keep their
    own gradients. Memory: K gradients of the shared parameters, and the same again for the masked
    rows; no state.

    Attributes:
      leak: l, one number for all tasks or one per task; 1 gives the sum.
      f: a module-level function that maps the purity P `[...]` to a probability and is
        non-decreasing; None is the identity. Coordinates in which all tasks agree may be dropped
        where `f(0) > 0` or `f(1) < 1`.

    Raises:
      BadInput: for leaks outside [0, 1], or an f that is not a function; from `init`, if the number
        of leaks is not K, or f returns values outside [0, 1] or decreases.

    Reference: Chen et al., Just Pick a Sign: Optimizing Deep Multitask Models with Gradient
      Sign Dropout, NeurIPS 2020, Algorithm 1 (https://arxiv.org/abs/2010.06808).
    """

    leak: float | tuple[float, ...] = 0.0
    f: Callable[[jax.Array], jax.Array] | None = None

    def __post_init__(self):
        leaks = self.leak if isinstance(self.leak, tuple) else (self.leak,)
        rule = "must be a number between 0 and 1, or a tuple of them"
        require(bool(leaks) and all(map(is_fraction, leaks)), self, "leak", rule, self.leak)
        valid = self.f is None or callable(self.f)
        require(valid, self, "f", "must be a function of the purity, or None", self.f)

    def init(self, num_tasks: int, shared: Tree = None) -> tuple[()]:
        """Initial state: empty."""
        self.leaks(num_tasks)
        if self.f is not None:
            with jax.ensure_compile_time_eval():
                values = self.f(jnp.linspace(0.0, 1.0, 101))
                valid = values.shape == (101,) and bool(is_increasing_probability(values))
            rule = "must map [0, 1] into [0, 1], entry by entry, and fall nowhere"
            require(valid, self, "f", rule, self.f)
        return ()

    def combine(self, jacobian: Tree, state: tuple[()], key: jax.Array) -> BalancedGradient:
        """Maps gradients (leaves `[K, ...]`) to one gradient and weights `[K]`."""
        jacobian = jax.lax.stop_gradient(jacobian)

        def drop(path, rows):
            leak = jnp.array(self.leaks(len(rows)), rows.dtype)
            leaf_key = fold_in_name(key, path_str(path))
            samples = jax.random.uniform(leaf_key, rows[:1].shape, rows.dtype)
            return keep_a_sign(rows, samples, broadcast_rows(leak, rows), self.f)

        rows = jax.tree_util.tree_map_with_path(drop, jacobian)
        return BalancedGradient(*sum_rows(rows, jacobian), state)

    def leaks(self, num_tasks: int) -> tuple[float, ...]:
        """Leak of each of the K tasks."""
        if not isinstance(self.leak, tuple):
            return (self.leak,) * num_tasks
        fits = len(self.leak) == num_tasks
        require(fits, self, "leak", f"must have {num_tasks} numbers", self.leak)
        return self.leak


def keep_a_sign(
    rows: jax.Array,
    samples: jax.Array,
    leak: jax.Array,
    f: Callable[[jax.Array], jax.Array] | None = None,
) -> jax.Array:
    """Keeps one sign per coordinate of rows `[K, ...]`; samples `[1, ...]` are uniform."""
    balance = safe_divide(rows.sum(0, keepdims=True), jnp.abs(rows).sum(0, keepdims=True))
    purity = 0.5 * (1.0 + balance)
    # One of the two always holds, so without f pure coordinates are never dropped entirely.
    mask = jnp.where(samples < (purity if f is None else f(purity)), rows > 0, rows < 0)
    return jnp.where(mask, rows, leak * rows)


def is_increasing_probability(values: jax.Array) -> jax.Array:
    """Whether values `[N]` lie in [0, 1] and never decrease."""
    return ((values >= 0) & (values <= 1)).all() & (jnp.diff(values) >= 0).all()


def is_fraction(value: object) -> bool:
    """Whether a value is a number between 0 and 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
