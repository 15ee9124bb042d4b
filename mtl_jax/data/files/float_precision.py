"""Detection of numbers that are distinct in a file but equal in float32."""

import fractions
import warnings

import numpy as np

from mtl_jax.core.validation import BadInput, DataWarning
from mtl_jax.data.files.columns import Columns, to_decimal_point

MAX_COLLISIONS = (
    0.1  # Maximum fraction of the distinct numbers that may become equal to another one.
)
STEPS = 2**23  # Number of float32 values between consecutive powers of two.
SPREAD_BITS = 30  # Bits of resolution, relative to the interquartile range.
MANTISSA_BITS = 40  # Bits, twelve decimal digits: differences below are rounding errors of sums.
EXACT = 2.0**53  # Above it, float64 does not represent every integer.


def require_precision(columns: Columns, name: str, values: np.ndarray, used: np.ndarray) -> None:
    """Rejects a column whose numbers become equal in float32, such as timestamps or ids.

    Among very many numbers some are equal by coincidence, so the permitted fraction grows with
    their count; for integers, any loss causes a warning.

    Args:
      columns: columns that contain the column.
      name: name of the column.
      values: its values, float64 `[N]`, NaN where missing.
      used: the values that a run uses, `[N]`, before they are cast to float32.

    Raises:
      BadInput: with the number of distinct values that become equal.
    """
    rows = np.flatnonzero(~np.isnan(values))
    if len(rows) == 0:
        return
    distinct = count_distinct(values[rows])
    if are_integers(values[rows]) and np.abs(values[rows]).max() >= EXACT:
        texts = {columns.cells[name][row] for row in rows}
        distinct = len({fractions.Fraction(to_decimal_point(columns, text)) for text in texts})
    where = f"{columns.locations[rows[0]][0]}: column {name!r}"
    collisions = require_few_collisions(where, distinct, used[rows])
    if collisions > 0 and are_integers(values[rows]):
        text = f"{collisions} of {distinct} different integers become equal to another in float32"
        warnings.warn(f"{where}: {text}", DataWarning, stacklevel=2)


def are_integers(values: np.ndarray) -> bool:
    """Whether all numbers are integers."""
    return bool((values == np.round(values)).all())


def count_distinct(values: np.ndarray) -> int:
    """Number of distinct values among finite numbers.

    Non-integers count as one if they differ by rounding errors of sums, as 0.3 and 0.1 + 0.2 do, or
    by a negligible fraction of the interquartile range, as very small numbers among larger ones.
    """
    if are_integers(values):
        return len(np.unique(values))
    low, high = np.quantile(values, (0.25, 0.75))
    min_range = np.abs(values).max() * 2.0**-500  # Prevents overflow below.
    step = max(high - low, min_range) * 2.0**-SPREAD_BITS
    mantissa, exponent = np.frexp(np.round(values / step) * step)
    return len(
        np.unique(np.ldexp(np.round(mantissa * 2.0**MANTISSA_BITS), exponent - MANTISSA_BITS))
    )


def require_few_collisions(where: str, distinct: int, values: np.ndarray) -> int:
    """Checks that most of some distinct numbers are distinct in float32.

    Args:
      where: origin of the numbers, for errors.
      distinct: how many are distinct.
      values: the numbers, before they are cast.

    Returns:
      How many are equal to another one in float32.

    Raises:
      BadInput: with this number.
    """
    collisions = distinct - len(np.unique(values.astype(np.float32)))
    if collisions > max(MAX_COLLISIONS, distinct / STEPS) * distinct:
        text = f"{collisions} of {distinct} different numbers become equal to another in float32"
        raise BadInput(
            f"{where}: {text}; subtract what they share, take logarithms, or leave them out"
        )
    return collisions
