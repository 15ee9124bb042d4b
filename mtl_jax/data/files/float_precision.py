"""Numbers that are different in a file and equal in float32."""

import fractions
import warnings

import numpy as np

from mtl_jax.core.validation import BadInput, DataWarning
from mtl_jax.data.files.columns import Columns, pointed

MOST = 0.1  # Share of the different numbers that may become equal to another one.
STEPS = 2**23  # As many numbers has float32 between a power of two and the next.
SPREAD = 30  # Binary digits, from the distance of the quartiles downwards.
DIGITS = 40  # Binary ones, twelve decimal: what differs behind them is rounding of sums.
EXACT = 2.0**53  # Above it float64 has no longer every integer.


def require_precision(columns: Columns, name: str, values: np.ndarray, kept: np.ndarray) -> None:
    """Refuses a column whose numbers float32 makes equal, such as timestamps or ids.

    Where there are very many numbers some are equal by chance, so the more there are the more may
    be; of integers each is told.

    Args:
      columns: with the column.
      name: of the column.
      values: what it says, float64 `[N]`, NaN where missing.
      kept: what a run gets of it, `[N]`, before it is cast to float32.

    Raises:
      BadInput: with the numbers of those that were different and are equal.
    """
    known = np.flatnonzero(~np.isnan(values))
    if len(known) == 0:
        return
    distinct = count_distinct(values[known])
    if are_integers(values[known]) and np.abs(values[known]).max() >= EXACT:
        texts = {columns.cells[name][row] for row in known}
        distinct = len({fractions.Fraction(pointed(columns, text)) for text in texts})
    where = f"{columns.places[known[0]][0]}: column {name!r}"
    lost = require_most(where, distinct, kept[known])
    if lost > 0 and are_integers(values[known]):
        told = f"{lost} of {distinct} different integers become equal to another in float32"
        warnings.warn(f"{where}: {told}", DataWarning, stacklevel=2)


def are_integers(values: np.ndarray) -> bool:
    """Whether all of some numbers are integers."""
    return bool((values == np.round(values)).all())


def count_distinct(values: np.ndarray) -> int:
    """How many of some finite numbers are different.

    Fractions count as one where they differ by the rounding of sums, as 0.3 and 0.1 + 0.2 do, or by
    next to nothing of what lies between their quartiles, as very small ones among larger ones.
    """
    if are_integers(values):
        return len(np.unique(values))
    low, high = np.quantile(values, (0.25, 0.75))
    least = np.abs(values).max() * 2.0**-500  # Against overflow below.
    step = max(high - low, least) * 2.0**-SPREAD
    mantissa, exponent = np.frexp(np.round(values / step) * step)
    return len(np.unique(np.ldexp(np.round(mantissa * 2.0**DIGITS), exponent - DIGITS)))


def require_most(where: str, distinct: int, kept: np.ndarray) -> int:
    """Requires that most of some different numbers are different in float32.

    Args:
      where: what the numbers are of, for the error.
      distinct: how many are different.
      kept: the numbers, before they are cast.

    Returns:
      How many are equal to another one in float32.

    Raises:
      BadInput: with this number.
    """
    lost = distinct - len(np.unique(kept.astype(np.float32)))
    if lost > max(MOST, distinct / STEPS) * distinct:
        told = f"{lost} of {distinct} different numbers become equal to another in float32"
        raise BadInput(
            f"{where}: {told}; subtract what they share, take logarithms, or leave them out"
        )
    return lost
