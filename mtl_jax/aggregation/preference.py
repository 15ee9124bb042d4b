"""Task preferences: the field `preference` that some aggregators share."""

from mtl_jax.core.validation import are_numbers, require


def check_preference(owner: object) -> None:
    """Validates that `owner.preference` is None or a tuple of non-negative numbers, not all 0."""
    rule = "must be a tuple of finite numbers of at least 0, not all 0, or None"
    value = owner.preference
    fine = value is None or (are_numbers(value) and min(value) >= 0 and max(value) > 0)
    require(fine, owner, "preference", rule, value)


def preferences(owner: object, num_tasks: int) -> tuple[float, ...]:
    """The preferences of K tasks, `1/K` each if None; raises if their number is not K."""
    value = owner.preference
    if value is None:
        return (1.0 / num_tasks,) * num_tasks
    require(len(value) == num_tasks, owner, "preference", f"must have {num_tasks} numbers", value)
    return value
