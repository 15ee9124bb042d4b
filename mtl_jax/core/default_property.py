"""A property that a subclass may override by a field."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

Value_co = TypeVar("Value_co", covariant=True)


class default_property(Generic[Value_co]):
    """A default of a base class: a property that subclasses override in any way.

    A subclass may define the name as a dataclass field, with or without a default, as a class
    attribute or as a property. A field without a default is required, which it would not be if
    the base class had a class attribute of this name.
    """

    def __init__(self, compute: Callable[[Any], Value_co]):
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __get__(self, owner: Any, kind: type | None = None) -> Value_co:
        """The default of an instance.

        Raises:
          AttributeError: on the class, so that `dataclasses` finds no default there.
        """
        if owner is None:
            raise AttributeError("only instances have this property")
        return self.compute(owner)
