"""Numbers that are different in a file and equal in float32."""

import fractions
import warnings

import numpy as np

from mtl_jax.checks import BadInput, DataWarning
from mtl_jax.data.columns import Columns, pointed

MOST = 0.1  # Share of the different numbers that may become equal to another one.
STEPS = 2**23  # As many numbers has float32 between a power of two and the next.
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
    distinct = len(np.unique(values[known]))
    if np.abs(values[known]).max() >= EXACT:
        texts = {columns.cells[name][row] for row in known}
        distinct = len({fractions.Fraction(pointed(columns, text)) for text in texts})
    where = f"{columns.places[known[0]][0]}: column {name!r}"
    lost = require_most(where, distinct, kept[known])
    if lost > 0 and (values[known] == np.round(values[known])).all():
        told = f"{lost} of {distinct} different integers become equal to another in float32"
        warnings.warn(f"{where}: {told}", DataWarning, stacklevel=2)


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
        raise BadInput(f"{where}: {told}; subtract what they share, or leave them out")
    return lost
