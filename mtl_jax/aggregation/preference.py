"""How much each task counts: the field `preference` that some aggregators share."""

import math

from mtl_jax.checks import require


def check_preference(owner: object) -> None:
    """Requires of `owner.preference` a tuple of finite numbers of at least 0, or None."""
    rule = "must be a tuple of finite numbers of at least 0, or None"
    value = owner.preference
    require(value is None or positive_numbers(value), owner, "preference", rule, value)


def preferences(owner: object, num_tasks: int) -> tuple[float, ...]:
    """The preference of K tasks, `1/K` each if it is None; refuses another number of them."""
    value = owner.preference
    if value is None:
        return (1.0 / num_tasks,) * num_tasks
    require(len(value) == num_tasks, owner, "preference", f"must have {num_tasks} numbers", value)
    return value


def positive_numbers(value: object) -> bool:
    """Whether a value is a tuple of finite numbers of at least 0, with one or more of them."""
    return (
        isinstance(value, tuple)
        and len(value) > 0
        and all(
            isinstance(number, int | float)
            and not isinstance(number, bool)
            and math.isfinite(number)
            and number >= 0
            for number in value
        )
    )
