"""Factor effects: contrasts of the cells of a full factorial design, per seed."""

import itertools
import math
from typing import NamedTuple

import numpy as np

from mtl_jax.core.validation import require

DIGITS = 12  # Significant digits of effects, relative to the largest value.


class Contrast(NamedTuple):
    """Effect of levels of some factors, averaged over all levels of the others."""

    levels: tuple[int, ...]  # of each factor; 0 if it is averaged over
    effect: np.ndarray  # [S]

    @property
    def order(self) -> int:
        """1 for a main effect, 2 for an interaction of two factors."""
        return sum(level > 0 for level in self.levels)


def contrasts(values: np.ndarray, order: int = 3) -> list[Contrast]:
    """Main effects and interactions of a full factorial design, per seed.

    The main effect of level l of a factor is `mean(y_l - y_0)` over all combinations of the other
    factors' levels. A two-factor interaction is the difference of differences
    `mean((y_lm - y_0m) - (y_l0 - y_00))`, the joint effect in excess of the sum of the separate
    effects; a three-factor interaction is the difference of those. Each level is compared with
    level 0. Texts on two-level designs use half of this for two factors and a quarter for three,
    so that all effects have the same variance; here all are in the unit of the values. Effects
    are rounded to 12 significant digits relative to the largest value.

    Args:
      values: value for each combination of levels and seed, `[L_1, ..., L_F, S]`.
      order: the highest order of interactions.

    Returns:
      All contrasts, main effects first; `(L_1 ... L_F) - 1` of them if `order` is F or more.

    Raises:
      BadInput: without factors or seeds, for a factor with one level, or an order below 1.

    Reference: NIST/SEMATECH e-Handbook of Statistical Methods, its section on full factorial
      designs (https://www.itl.nist.gov/div898/handbook/pri/section3/pri333.htm).

    Example:
      >>> import numpy as np
      >>> from mtl_jax import metrics
      >>> values = np.array([[[1.0], [2.0]], [[3.0], [7.0]]])  # Two factors, one seed.
      >>> [(c.levels, c.effect.item()) for c in metrics.contrasts(values)]
      [((1, 0), 3.5), ((0, 1), 2.5), ((1, 1), 3.0)]
    """
    values = np.asarray(values, np.float64)
    *levels, seeds = values.shape or (0,)
    valid = bool(levels) and min(levels) > 1 and seeds > 0
    rule = "must be numbers [L_1, ..., L_F, S], two levels each or more"
    require(valid, "contrasts", "values", rule, values.shape)
    require(order >= 1, "contrasts", "order", "must be at least 1", order)
    # Cancellation leaves a rounding residue, which would look like an effect if all seeds agree.
    largest = np.abs(values[np.isfinite(values)]).max(initial=1e-30)
    digits = DIGITS - math.ceil(math.log10(largest))
    effects = [
        Contrast(combination, np.round(effect(values, combination), digits))
        for combination in itertools.product(*map(range, levels))
        if any(combination)
    ]
    # Within an order, sort by the participating factors: those of the first factor come first.
    effects.sort(key=lambda c: (c.order, [level == 0 for level in c.levels], c.levels))
    return [contrast for contrast in effects if contrast.order <= order]


def effect(values: np.ndarray, levels: tuple[int, ...]) -> np.ndarray:
    """One contrast `[S]`: nonzero levels are compared with level 0, other factors averaged over."""
    for level in levels:
        values = values[level] - values[0] if level else values.mean(0)
    return values
