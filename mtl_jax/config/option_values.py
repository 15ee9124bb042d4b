"""Options of the command line that set several values, as `--mesh seed=2,batch=4`."""

import re
from collections.abc import Iterable

from mtl_jax.core.validation import BadInput, did_you_mean


def option_values(option: str, text: str, names: Iterable[str], rule: str) -> dict[str, str]:
    """Parses `NAME=VALUE,NAME=VALUE`; values may contain commas.

    Args:
      option: the option, such as `--mesh`.
      text: its value.
      names: the names that it may set.
      rule: the error of another name, such as "is no axis".

    Raises:
      BadInput: for another name, a repeated one, or one without a value.
    """
    values: dict[str, str] = {}
    for part in re.split(r",(?=\s*[\w-]+=)", text):
        name, _, value = (each.strip() for each in part.partition("="))
        if name not in names:
            raise BadInput(f"{option} {name}: {rule}; {did_you_mean(name, names)}")
        if not value or name in values:
            raise BadInput(f"{option} {name}: must have one value")
        values[name] = value
    return values
