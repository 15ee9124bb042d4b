"""Task preferences: the field `preference` that some aggregators share."""

from typing import Protocol

from mtl_jax.core.validation import are_numbers, require


class HasPreference(Protocol):
    """A method with a preference for some tasks."""

    @property
    def preference(self) -> tuple[float, ...] | None:
        """One number per task; None means equal preferences."""


def require_preference(method: HasPreference) -> None:
    """Requires that the preference is None or a tuple of non-negative numbers, not all 0."""
    rule = "must be a tuple of finite numbers of at least 0, not all 0, or None"
    value = method.preference
    valid = value is None or (are_numbers(value) and min(value) >= 0 and max(value) > 0)
    require(valid, method, "preference", rule, value)


def preferences(method: HasPreference, num_tasks: int) -> tuple[float, ...]:
    """The preferences of K tasks, `1/K` each if None; raises if their number is not K."""
    value = method.preference
    if value is None:
        return (1.0 / num_tasks,) * num_tasks
    require(len(value) == num_tasks, method, "preference", f"must have {num_tasks} numbers", value)
    return value
